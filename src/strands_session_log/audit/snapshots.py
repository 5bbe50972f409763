"""Does the snapshot say what the log says? Whoever can write to the server can write one that does not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..codec import from_json, rows, to_json
from ..errors import CorruptEntryError, EncryptionError, SessionLogError, SnapshotMismatchError
from ..event_log import EventLog
from ..event_log.diagnosis import diagnosed
from ..ids import EventId
from ..snapshot import Authenticator, DamagedError, OtherVersionError, Restored, SnapshotPlace, restore
from ..state import AgentState, Fold, Messages, SessionState, initial


def snapshot_problems(log: EventLog, session_id: str, authenticator: Authenticator) -> Iterator[str]:
    """What a snapshot says that the log does not, point by point: the state with all its messages.

    Args:
        log: Where the session is.
        session_id: The session.
        authenticator: With a key, a point that none of the keys has signed is a problem, too.

    Raises:
        LogForkedError: When the session was deleted or replaced while it was read.
    """
    points = log.snapshots.points(session_id)
    if not points:
        return
    compare = _Comparison(log, session_id, authenticator)
    folded = initial()
    try:
        for point, state in _states(log, session_id, points):
            folded = state
            yield from compare.problems(point, state)
    except CorruptEntryError as error:
        yield f"the snapshot cannot be compared beyond revision {folded.revision}: {error}"
        return
    except EncryptionError:
        # Without the key nothing can be read of the snapshot, either.
        return
    for point in points:
        if point > folded.position:
            yield from compare.unless_gone(point, "is not in the log")


def _states(log: EventLog, session_id: str, points: list[EventId]) -> Iterator[tuple[EventId, SessionState]]:
    """The state at each point, as the log has it; empty where the log does not have the point."""
    fold, left = Fold(initial()), sorted(points)
    for page in log.pages(session_id, end=str(left[-1])):
        for entry in page:
            # One by one: what cannot be read hides nothing that comes before it.
            ((id_, *event),) = rows(log.cipher.opened(session_id, [entry], is_strict=True), Fold.LOOKS_AT)
            fold.add(id_, *event)
            while left and left[0] <= id_:
                point = left.pop(0)
                yield point, fold.state() if point == id_ else initial()
    yield EventId(0, 0), fold.state()


class _Comparison:
    """Compares the points of one snapshot."""

    def __init__(self, log: EventLog, session_id: str, authenticator: Authenticator) -> None:
        self._log, self._session_id, self._authenticator = log, session_id, authenticator
        self._erased = self._erased_now()

    def _erased_now(self) -> str:
        key = self._log.keyspace.session(self._session_id).head
        (found,) = self._log.store.fields(key, "erased")
        return (found or b"").decode(errors="replace")

    def problems(self, point: EventId, state: SessionState) -> Iterator[str]:
        """What is wrong with a point."""
        if not point.revision:
            return
        if not state.exists:
            yield from self.unless_gone(point, "is not in the log")
            return
        try:
            found = self._restored(point, state)
            difference = "" if found is None else _difference(found.state, state)
        except OtherVersionError:
            # After an upgrade: nobody takes it, and the next reader makes it anew.
            return
        except DamagedError as error:
            difference = f"is not taken: {error}"
        except SnapshotMismatchError as error:
            difference = f"has other messages of agent {error.agent_id!r} than the log"
        if difference:
            yield from self.unless_gone(point, difference)

    def unless_gone(self, point: EventId, difference: str) -> Iterator[str]:
        """Tell of a point, unless others have saved or erased meanwhile, so that it counts no more."""
        if self._erased_now() == self._erased and point in self._log.snapshots.points(self._session_id):
            yield f"the snapshot at event {point} {difference}"

    def _restored(self, point: EventId, state: SessionState) -> Restored | None:
        manifest = self._log.snapshots.manifest(self._session_id, point)
        if manifest is None:
            return None
        place = SnapshotPlace(self._log.keyspace.namespace, self._session_id, point, state.link, self._erased)
        return restore(place, manifest, {}, _FromLog(self._log, self._session_id, state), self._authenticator)


class _FromLog:
    """What a snapshot leaves out is here already; what it stores must be there, and be read."""

    def __init__(self, log: EventLog, session_id: str, state: SessionState) -> None:
        self._log, self._session_id, self._state = log, session_id, state

    def segment(self, name: str) -> bytes | None:
        with diagnosed(self._log.store, self._session_id):
            return self._log.snapshots.segment(self._session_id, name)

    def replayed(self, agent_id: str, start: int, end: int) -> Messages:
        return self._state.agents.get(agent_id, AgentState(agent_id)).messages

    def contradicted(self, agent_id: str) -> SessionLogError:
        return SnapshotMismatchError(self._session_id, self._state.position, agent_id)


def _difference(snapshot: SessionState, log: SessionState) -> str:
    """In what a snapshot differs from the log, in words; nothing if it does not."""
    # First: what records are made of is looked at more closely, and read from the log if it is damaged.
    differs = {name for name, agent in snapshot.agents.items() if not _gives(agent.messages, _of(log, name))}
    if snapshot == log and not differs:
        return ""
    every = {**snapshot.agents, **log.agents}
    agents = [name for name in every if name in differs or _of(snapshot, name) != _of(log, name)]
    parts = {
        "session record": snapshot.session == log.session,
        "labels": snapshot.labels == log.labels,
        "graphs": snapshot.multi_agents == log.multi_agents,
    }
    found = [f"agent {name!r}" for name in agents] + [name for name, is_equal in parts.items() if not is_equal]
    return f"differs from the log: {', '.join(found)}"


def _of(state: SessionState, name: str) -> AgentState | None:
    agents: Mapping[str, AgentState] = state.agents
    return agents.get(name)


def _gives(stored: Messages, agent: AgentState | None) -> bool:
    """Whether an agent that resumes is given what the log has: it is made of columns, and never of records."""
    start, log = 0, agent.messages if agent else Messages()
    for segment in stored.segments:
        end = start + segment.count
        if segment.name:
            found, held = segment.given(from_json), log.columns(start, end, from_json)
            if held.have_tools and not found.have_tools:
                return False
            # What is not equal to itself is, once encoded.
            if found.each != held.each and to_json(found.each, "message") != to_json(held.each, "message"):
                return False
        start = end
    return True
