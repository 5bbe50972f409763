"""`session-log grep`."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import islice
from typing import Annotated

import typer
from rich.console import Console

from ... import EventId, Progress, SessionLog, TextSearch, matches_in, search_for
from ...errors import (
    CorruptEntryError,
    CorruptKeyError,
    EncryptionError,
    InvalidPointError,
    KeyMissingError,
    LogForkedError,
    SessionNotFoundError,
)
from ..completion import session_ids
from ..context import CommandCall
from ..exit_codes import DAMAGED, Code, fail
from ..nearest import no_type
from ..options import AgentOption, TypesOption, argument, command, option, whole
from ..progress import progress
from ..render.hits import Hit, hit_json, hit_printer, summary_of
from ..terminal import console, is_screen, note, write_json

EPILOG = (
    "Examples:\n\nsession-log grep jane@example.com --fixed --ignore-case\n\n"
    "session-log grep '\\bJane\\b' s-42 s-43 --since -30d\n\n"
    "session-log grep 'Jane Doe' --json | jq -r '[.session_id, .id] | @tsv' | sort -u"
)
_MANY_SESSIONS = 50
_LIVES = 3
_ALWAYS = "1970-01-01T00:00:00Z"

PatternArgument = Annotated[str, argument("PATTERN", "A regular expression, as Python has them.")]
SessionsArgument = Annotated[list[str] | None, argument("[SESSION]...", "Sessions; else all.", session_ids)]
FixedOption = Annotated[bool, typer.Option("--fixed", help="The pattern is text, to be found as it stands.")]
CaseOption = Annotated[bool, typer.Option("--ignore-case", "-i", help="Whether letters are capital does not matter.")]
SinceOption = Annotated[str | None, option("--since", "TIME", "Only events since: an ISO time, or relative (-30d).")]
LimitOption = Annotated[int | None, option("--limit", "N", "The first N hits.", parser=whole(1, 10**12))]


@command
def grep(
    call: CommandCall,
    pattern: PatternArgument,
    sessions: SessionsArgument = None,
    fixed: FixedOption = False,
    ignore_case: CaseOption = False,
    since: SinceOption = None,
    types: TypesOption = None,
    agent: AgentOption = None,
    limit: LimitOption = None,
) -> None:
    """Find text in what events hold, session by session, those that were active last first.

    It looks at messages, calls of tools and their results, states, labels, reasons and answers, errors, events of your
    own: at all that `session-log erase` can erase, which takes the ids it prints.

    It does not find text that is split over several blocks of a message, nor what is in pictures.
    Ends with 1 when nothing is found, with 6 when a session cannot be read.
    """
    search = _search_for(pattern, fixed, ignore_case)
    terminal = console()
    with call.opened() as log:
        searched = _Searched(log, search, since, types or None, agent)
        with _progress(terminal, call.as_json) as tell:
            show = (lambda hit: write_json(hit_json(hit))) if call.as_json else hit_printer(terminal)
            for hit in islice(searched.hits(sessions, tell), limit):
                show(hit)
                sys.stdout.flush()
    if not searched.found and (why := no_type(types or ())):
        note(why)
    elif not call.as_json:
        note(summary_of(searched.found, searched.count, searched.hit_count == limit, call.same_target_options))
    raise typer.Exit(searched.code)


def _search_for(pattern: str, fixed: bool, ignore_case: bool) -> TextSearch:
    if not pattern:
        fail(Code.USAGE, "PATTERN '' is empty, and would be found everywhere: say what to find")
    try:
        return search_for(pattern, is_fixed=fixed, ignores_case=ignore_case)
    except re.error as error:
        fail(Code.USAGE, f"PATTERN {pattern!r} is no regular expression: {error}; --fixed finds it as it stands")


def _progress(terminal: Console, as_json: bool) -> AbstractContextManager[Progress]:
    """Above a bar on the same terminal, lines can be printed only as text."""
    if as_json and is_screen(terminal):
        return nullcontext(lambda done, total: None)
    return progress("sessions", _MANY_SESSIONS, terminal)


class _Searched:
    """What was searched for something: session by session, as far as its hits are asked for.

    Attributes:
        found: The events that have hits, by session.
        hit_count: How many hits.
        count: How many sessions were searched.
    """

    def __init__(
        self, log: SessionLog, search: TextSearch, since: str | None, types: list[str] | None, agent: str | None
    ) -> None:
        self._log, self._search, self._since, self._types, self._agent = log, search, since, types, agent
        self.found, self.hit_count, self.count = dict[str, dict[EventId, None]](), 0, 0
        self._unreadable = set[str]()

    @property
    def code(self) -> Code:
        """How the command ends."""
        if self._unreadable:
            return Code.UNREADABLE
        return Code.OK if self.found else Code.PROBLEMS

    def hits(self, sessions: list[str] | None, tell: Progress) -> Iterator[Hit]:
        """Find it in some sessions, or in all."""
        try:
            total = self._log.count_sessions(self._since or _ALWAYS)
            names = self._checked(sessions) if sessions else self._log.session_ids(self._since)
            for self.count, name in enumerate(names, 1):
                for hit in self._hits_in(name):
                    self.found.setdefault(name, {})[hit.recorded.id] = None
                    self.hit_count += 1
                    yield hit
                tell(self.count, len(sessions) if sessions else max(total, self.count))
        except InvalidPointError as error:
            if error.reason:
                raise
            fail(Code.USAGE, f"--since {self._since!r} is no time: give an ISO time, or a relative one (-30d)")
        except DAMAGED as error:
            fail(Code.UNREADABLE, str(error))

    def _checked(self, sessions: list[str]) -> Iterable[str]:
        for name in sessions:
            # A session whose head is damaged can be searched all the same.
            with suppress(CorruptKeyError):
                self._log.head(name)
        return dict.fromkeys(sessions)

    def _hits_in(self, name: str) -> Iterator[Hit]:
        """Of one session; one that is deleted meanwhile is passed over, and one that was begun anew read anew."""
        after: EventId | str | None = self._since
        for _ in range(_LIVES):
            try:
                yield from self._hits_after(name, after)
                return
            except CorruptKeyError as error:
                return self._note_unreadable(name, error)
            except LogForkedError as error:
                if self._is_gone(name):
                    return
                replaced = error
        self._note_unreadable(name, replaced)

    def _hits_after(self, name: str, after: EventId | str | None) -> Iterator[Hit]:
        """With what stands behind an event that cannot be read."""
        while True:
            try:
                for recorded in self._log.read(name, after, types=self._types, agent=self._agent):
                    if recorded.event.is_sealed and name not in self._unreadable:
                        self._note_unreadable(name, why_sealed(self._log, name))
                    yield from (Hit(name, recorded, match) for match in matches_in(recorded.event, self._search))
                return
            except CorruptEntryError as error:
                self._note_unreadable(name, error)
                after = EventId.parse(error.entry_id)

    def _is_gone(self, name: str) -> bool:
        try:
            return not self._log.head(name)
        except SessionNotFoundError:
            return True
        except CorruptKeyError:
            return False

    def _note_unreadable(self, name: str, error: Exception) -> None:
        """Once: in a session that is damaged, much may be."""
        if name not in self._unreadable:
            note(f"session {name!r}: {error}")
        self._unreadable.add(name)


def why_sealed(log: SessionLog, session_id: str) -> Exception:
    """What keeps the content of a session from being read: its key is missing, wrong or shredded."""
    try:
        log.state(session_id)
    except EncryptionError as error:
        return error
    return KeyMissingError(session_id, "")
