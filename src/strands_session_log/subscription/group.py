"""A consumer group over the feed, as it stands on the server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..codec import RawEntry
from ..errors import ServerRefusedError
from ..event_log.connection import connection_to
from ..feed import Envelope
from ..keys import GroupKeys, Keyspace
from ..scripts import (
    GROUP_COUNT,
    GROUP_GAP,
    GROUP_HEARTBEAT,
    GROUP_LEAVE,
    GROUP_SETTLE,
    GROUP_TAKE,
    GROUP_WORK,
)
from ..server.border import ANSWERED_WITHIN, Client, told_apart, with_retries
from ..server.replies import pairs
from .failure import NONE, Failure
from .protocol import FeedEntry, FetchReply, Gap, parse_gap
from .settings import SubscriptionSettings

_PAGE = 1000
_LEFT_WITHIN = 2.0
"""Seconds for which a consumer waits that has said goodbye: others find out by themselves."""
_new = tuple.__new__


class FetchRequest(NamedTuple):
    """What a consumer asks one partition for.

    Attributes:
        partition: The partition.
        most: How many deliveries at most.
        claim: Look for what others left lying.
        suspects: Something may be given that was delivered twice already.
        known: The last envelope this consumer was given, which is compared with the feed: its id and link.
        own: Deliveries of its own that are to be given again.
        is_begun: Whether the group is known to have begun; should it be gone, what is there now came after that.
    """

    partition: int
    most: int
    claim: bool = False
    suspects: bool = True
    known: tuple[str, bytes] = ("", b"")
    own: Sequence[bytes] = ()
    is_begun: bool = False


class Disposition(NamedTuple):
    """What a consumer says of a delivery.

    Attributes:
        what: `nack`, `park`, `release` or `extend`.
        key: The stream id of its envelope.
        attempts: Which attempt it was.
        pause_ms: How long it is to wait.
        failure: Why it failed.
        session_id: The session, where the reason may quote it.
    """

    what: str
    key: bytes
    attempts: int
    pause_ms: int = 0
    failure: Failure = NONE
    session_id: str = ""


class SettleRequest(NamedTuple):
    """What a consumer says of its deliveries in one partition.

    Attributes:
        partition: The partition.
        done: The stream ids of those that were handled.
        attempts: Which attempt each of them was; empty if all were the first.
        last: The id and the link of one of the last of them.
        others: What is said of others.
        taken_over: How often others had taken something over when this consumer last looked; empty if it does not know.
    """

    partition: int
    done: Sequence[bytes] = ()
    attempts: Sequence[int] = ()
    last: tuple[bytes, bytes] = (b"", b"")
    others: Sequence[Disposition] = ()
    taken_over: str = ""


class SettleReply(NamedTuple):
    """The answers: `k` (kept) it was this consumer's, `t` (taken over) another has it, `g` (gone) nobody has.

    Attributes:
        done: Of what was done.
        others: Of the rest.
        parked: What was parked.
        checkpoint: Up to where everything of the partition is settled; empty if that was not asked.
        taken_over: How often others have taken something over from this consumer; empty if that is not known.
    """

    done: str
    others: str
    parked: Sequence[str]
    checkpoint: str
    taken_over: str

    @classmethod
    def parse(cls, reply: Sequence[Any]) -> SettleReply:
        """Read the script's answer, undecoded."""
        done, others, parked, checkpoint, taken_over = reply
        ids = [id_.decode() for id_ in parked]
        return cls(done.decode(), others.decode(), ids, checkpoint.decode(), taken_over.decode())


class Group:
    """Asks the server on behalf of one consumer; one for any number of threads.

    Args:
        client: Any sync client.
        keyspace: How the namespace is laid out.
        settings: How the subscription is read.
        retry_for: For how many seconds a server that is away is waited for.
    """

    def __init__(self, client: Client, keyspace: Keyspace, settings: SubscriptionSettings, retry_for: float) -> None:
        self.client, self.keyspace, self.settings, self.retry_for = client, keyspace, settings, retry_for
        self._has_begun = False

    def begin(self) -> None:
        """Let the group begin in every partition that it is new in, in one round trip."""
        self.take([FetchRequest(partition, 0) for partition in range(self.keyspace.partitions)])
        self._has_begun = True

    def take(self, requests: Sequence[FetchRequest]) -> list[FetchReply]:
        """Ask partitions, all in one round trip; whoever gets no answer asks for its own again (`own`)."""
        calls = [(self._keys(request.partition), self._arguments(request)) for request in requests]
        replies = with_retries(lambda: told_apart(GROUP_TAKE.each(self.client, calls)), 0, within=ANSWERED_WITHIN)
        return [FetchReply.parse(request.partition, reply) for request, reply in zip(requests, replies, strict=True)]

    def news(self, partitions: Sequence[int], most: int) -> dict[int, list[FeedEntry]]:
        """Read what is new in some partitions, which share a slot or are on a server without slots.

        This is all that is needed as long as nothing but news is expected. It costs a fourth of what the script does,
        in which Lua copies every field twice.

        Raises:
            ServerRefusedError: When the group is gone, among others.
        """
        feeds = {self._keys(partition)[0].encode(): partition for partition in partitions}
        start = ("GROUP", self.settings.group, self.settings.consumer, "COUNT", most, "STREAMS")

        def send() -> Any:
            with connection_to(self.client, next(iter(feeds)).decode()) as node:
                return node.execute_command(b"XREADGROUP", *start, *feeds, *([">"] * len(feeds)), NEVER_DECODE=True)

        reply = with_retries(send, 0, within=ANSWERED_WITHIN)
        return {
            feeds[feed]: [_new(FeedEntry, (id_, 1, fields)) for id_, fields in entries]
            for feed, entries in pairs(reply)
        }

    def missing(self, unseen: Gap) -> Gap | None:
        """Are envelopes that this consumer did not see gone? Then nobody may have had them, and the group notes it.

        What other consumers of the group were given is still in the feed: it is not trimmed so soon.
        """
        return self._gap("missing", unseen, 0, within=ANSWERED_WITHIN)

    def own(self, partition: int) -> Iterator[bytes]:
        """The ids of all that this consumer was given and has not settled, in one partition."""
        feed, settings = self.keyspace.group(partition, self.settings.group).feed, self.settings
        start, rows = "-", [None] * _PAGE
        try:
            while len(rows) == _PAGE:
                rows = self.command(b"XPENDING", feed, settings.group, start, "+", _PAGE, settings.consumer)
                yield from (row[0] for row in rows)
                start = f"({rows[-1][0].decode()}" if rows else ""
        except ServerRefusedError as error:
            if not error.is_wrong_type and "NOGROUP" not in str(error):
                raise

    def settle(self, words: Sequence[SettleRequest]) -> list[SettleReply | ServerRefusedError]:
        """Tell the server what became of deliveries, in one round trip and one attempt; may be repeated.

        Returns:
            The answers; of a partition whose keys are broken, the error.
        """
        calls = [(self._settle_keys(one), self._told(one)) for one in words]
        replies = with_retries(lambda: told_apart(GROUP_SETTLE.each(self.client, calls)), 0, within=ANSWERED_WITHIN)
        return [reply if isinstance(reply, ServerRefusedError) else SettleReply.parse(reply) for reply in replies]

    def work(self, partition: int, arguments: Sequence[Any], sessions: Sequence[str]) -> bool:
        """Tell how far the backfill has come; false when it is another consumer's now.

        Args:
            partition: The partition.
            arguments: See `group/work.lua`.
            sessions: Those that the reasons may quote with which something is parked.
        """
        group = self._keys(partition)
        events = [self.keyspace.session(one).events for one in sessions]
        call = partial(
            GROUP_WORK, self.client, [group.group, group.parked, group.replay, group.texts, *events], arguments
        )
        return bool(with_retries(call, self.retry_for))

    def attempt_backfill(self, partition: int) -> int:
        """Count that a backfill begins, or goes on, at its cursor; how often that was."""
        arguments = ["backfill_attempts"]
        return int(
            with_retries(lambda: GROUP_COUNT(self.client, [self._keys(partition).group], arguments), self.retry_for)
        )

    def command(self, name: bytes, key: str, *arguments: Any) -> Any:
        """Send a command that may be repeated. Its name is bytes, so that the driver leaves the reply as it came."""

        def send() -> Any:
            with connection_to(self.client, key) as node:
                return node.execute_command(name, key, *arguments, NEVER_DECODE=True)

        return with_retries(send, self.retry_for)

    def body(self, envelope: Envelope) -> RawEntry | None:
        """The entry of an event in its session; None when that was deleted."""
        key, id_ = self.keyspace.session(envelope.session_id).events, str(envelope.id)
        found = self.command(b"XRANGE", key, id_, id_)
        return found[0] if found else None

    def heartbeat(self, gone_after_ms: int, forgotten_after_ms: int) -> int:
        """Say that this consumer is there; how many are, by the server's clock, that were heard of lately."""
        keys, arguments = [self._keys(0).group], (self.settings.consumer, gone_after_ms, forgotten_after_ms)
        return int(with_retries(lambda: GROUP_HEARTBEAT(self.client, keys, arguments), self.retry_for))

    def release(self, partition: int) -> None:
        """Give up the lease of a partition, if this consumer has it; of one that is broken, nobody has."""
        call = [(self._hash_and_feed(partition), [self.settings.consumer])]
        with_retries(lambda: told_apart(GROUP_LEAVE.each(self.client, call)), 0, within=ANSWERED_WITHIN)

    def leave(self, partitions: Sequence[int]) -> None:
        """Give up what leases this consumer has in some partitions, and its name where nothing is pending under it."""
        arguments = [self.settings.consumer, self.settings.group]
        calls = [(self._hash_and_feed(partition), arguments) for partition in partitions]
        with_retries(lambda: GROUP_LEAVE.many(self.client, calls), 0, within=_LEFT_WITHIN)

    def note_gap(self, what: str, gap: Gap) -> None:
        """Have what is missing read from the sessions (`catch_up`), or go on behind it (`skip`)."""
        self._gap(what, gap, self.retry_for)

    def _gap(self, what: str, gap: Gap, retry_for: float, **options: float) -> Gap | None:
        keys = self._hash_and_feed(gap.after.partition)
        arguments = [what, gap.after.stream_id, gap.before.stream_id]
        reply = with_retries(lambda: GROUP_GAP(self.client, keys, arguments, raw=True), retry_for, **options)
        return parse_gap(gap.after.partition, reply)

    def _hash_and_feed(self, partition: int) -> list[str]:
        keys = self._keys(partition)
        return [keys.group, keys.feed]

    def _keys(self, partition: int) -> GroupKeys:
        return self.keyspace.group(partition, self.settings.group)

    def _settle_keys(self, words: SettleRequest) -> list[str]:
        """Those of the group, and the events that reasons may quote: these are kept as long as nothing is erased."""
        sessions = [said.session_id for said in words.others if said.failure.text]
        keys = self._keys(words.partition)
        events = [self.keyspace.session(one).events for one in sessions]
        return [keys.feed, keys.group, keys.parked, keys.texts, *events]

    def _arguments(self, request: FetchRequest) -> list[Any]:
        settings = self.settings
        return [
            *(settings.group, settings.consumer, "ordered" if settings.ordered else ""),
            *(request.most, "feed" if request.is_begun or self._has_begun else settings.start),
            *("1" if request.claim else "", settings.claim_after_ms, settings.max_attempts),
            *("1" if request.suspects else "", settings.claim_after_ms, *request.known),
            b" ".join(request.own),
        ]

    def _told(self, words: SettleRequest) -> list[Any]:
        settings = self.settings
        arguments: list[Any] = [
            *(settings.group, settings.consumer, settings.claim_after_ms, settings.max_attempts),
            *("ordered" if settings.ordered else "", *words.last, words.taken_over),
            *(" ".join(map(str, words.attempts)), len(words.done), *words.done),
        ]
        for said in words.others:
            arguments += (said.what, said.key, said.attempts, said.pause_ms, *said.failure)
        return arguments
