"""What users write in annotations of their own functions; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Iterator

from strands_session_log import (
    ROLES,
    AgentDiff,
    AgentState,
    Change,
    CheckedEvents,
    Deliveries,
    Delivery,
    Envelope,
    EventId,
    Expect,
    Expected,
    FeedId,
    Finding,
    Gap,
    GapResolution,
    Handler,
    Integrity,
    LiveStats,
    LiveTokens,
    MessageChange,
    MessageRecord,
    OpenInterrupt,
    ParkedEvents,
    Point,
    Progress,
    Recorded,
    RecorderStats,
    Role,
    ServerInspection,
    SessionChecker,
    SessionDiff,
    SessionLog,
    SessionRecorder,
    SnapshotKey,
    Subscriber,
    SyncDeliveries,
    SyncDelivery,
    TextMatch,
    TextSearch,
    Tombstone,
    events,
    from_json,
    inspect_server,
    matches_in,
    search_for,
)


def opened(url: str, key: SnapshotKey) -> SessionLog:
    """A log with a key."""
    return SessionLog.connect(url, snapshot_key=key)


def appended(log: SessionLog, happened: events.Event, expected: Expected) -> EventId:
    """Where it stands."""
    return log.append("s-42", happened, expected)


def since(log: SessionLog, point: Point, progress: Progress) -> SessionDiff:
    """What differs; points are whatever stands for one."""
    at: EventId = log.resolve("s-42", point)
    one: Recorded = log.event("s-42", point)
    last: EventId = log.head("s-42")
    log.fork("s-42", at, into="s-43", progress=progress)
    planned: SessionDiff = log.rewind("s-42", one.id, dry_run=True)
    done: EventId = log.rewind("s-42", last, by="ada", dry_run=False)
    return planned if done else log.diff("s-42", at)


def told(diff: SessionDiff) -> Iterator[str]:
    """In words."""
    agent: AgentDiff
    changed: MessageChange
    differs: Change
    for name, agent in diff.agents.items():
        for changed in agent.added:
            yield f"{name} {changed.index}"
        for differs in agent.state:
            yield f"{differs.path} {differs.kind}"
    integrity: Integrity = diff.integrity
    yield str(integrity)


def texts(agent: AgentState) -> list[object]:
    """What was said."""
    records: list[MessageRecord] = [*agent.messages]
    return [from_json(record.shown["content"]) for record in records]


def differing(one: AgentState, other: AgentState) -> list[tuple[str | int, ...]]:
    """Where the state differs."""
    return [change.path for change in Change.between(one.state, other.state)]


def is_as_noted(log: SessionLog, noted: list[Expect]) -> bool:
    """Links from elsewhere."""
    return log.verify("s-42", expect=noted).ok


def to_change(url: str) -> list[str]:
    """What an operator should do."""
    inspection: ServerInspection = inspect_server(url, "strands", retry_for=1.0)
    findings: tuple[Finding, ...] = inspection.findings
    return [] if inspection.ok else [f"{inspection.report.name}: {one.subject} {one.cure}" for one in findings]


def access(roles: tuple[Role, ...] = ROLES) -> list[str]:
    """What servers are told."""
    return [role.rules("strands") for role in roles]


def checked(log: SessionLog) -> CheckedEvents:
    """Sessions one after the other."""
    every: list[str] = [*log.session_ids(), *log.session_ids(since="-1d")]
    gone: list[Tombstone] = [*log.tombstones()]
    return log.read_checked(every[0] if every else gone[0].session_id)


def checked_in_steps(log: SessionLog, noted: list[Expect]) -> tuple[str, ...]:
    """A page at a time."""
    checker: SessionChecker = log.checker("s-42", expect=noted)
    while not checker.advance(100):
        where: EventId | None = checker.broken_at
        if where is not None and not checker.is_complete:
            return (f"{where}: {checker.revision} {checker.link}",)
    return checker.problems


def found(log: SessionLog, text: str) -> list[str]:
    """Where events hold a text."""
    search: TextSearch = search_for(text, is_fixed=True, ignores_case=True)
    hits: list[TextMatch] = [match for one in log.read("s-42") for match in matches_in(one.event, search)]
    return [f"{one.where}: {one.before}{one.found}{one.after}" for one in hits]


def asked(log: SessionLog) -> list[object]:
    """What persons are asked."""
    interrupts: tuple[OpenInterrupt, ...] = log.state("s-42").interrupts
    return [one.reason for one in interrupts]


async def handled(deliveries: Deliveries) -> None:
    """In a loop of one's own."""
    async for delivery in deliveries:
        envelope: Envelope = delivery.envelope
        place: FeedId = envelope.feed_id
        if place.partition == 0:
            await park(delivery)


async def park(delivery: Delivery) -> None:
    """In a function of one's own."""
    await delivery.park("not of interest")


def handled_in_a_thread(deliveries: SyncDeliveries) -> list[SyncDelivery]:
    """Likewise."""
    return [*deliveries]


async def run(subscriber: Subscriber, handler: Handler) -> None:
    """A handler from elsewhere."""
    await subscriber.run(handler)


def lacking(log: SessionLog) -> list[Gap]:
    """What groups lack."""
    parked: ParkedEvents = log.parked("audit")
    parked.drop(one.parked_id for one in parked)
    return [status.gap for status in log.groups() if status.gap]


def settled(log: SessionLog, resolution: GapResolution) -> int:
    """What was missing."""
    return sum(gap.missing for gap in log.settle_gaps("audit", resolution))


def lost(recorder: SessionRecorder, speaker: LiveTokens) -> int:
    """What was dropped."""
    recorded: RecorderStats = recorder.stats
    spoken: LiveStats = speaker.stats
    return recorded.lost + spoken.dropped
