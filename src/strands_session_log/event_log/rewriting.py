"""One attempt to erase events of a session: what its steps are told, and what they put in place of content."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

import orjson

from ..codec import encode, sealed_facts
from ..encryption import Sealer
from ..events import PayloadErased
from ..ids import START, EventId, Ranges
from .chained_batch import Position, chain_batch
from .expected import ANY

STEP_ENTRIES = 128
STEP_BYTES = 256 * 1024
PATIENCE_MS = 5_000
"""For how long a rewrite outlives its last step; one whose process died is gone after that, by itself."""

Record: TypeAlias = "Mapping[str, str]"
"""What is to be on record of an erasure: `reason` and, if given, `by`."""


class ErasureTarget(NamedTuple):
    """An event to erase.

    Attributes:
        id: Where it stands.
        link: The hash chain at it, base64url: what its history is recognised by.
        commitment: What takes the place of its body, base64url; empty when it was erased before.
    """

    id: EventId
    link: str
    commitment: str


class RewriteProgress(NamedTuple):
    """How far a rewrite is, and where its session stands.

    Attributes:
        copied: The id copied last; `START` before the first.
        head: The session's last event.
    """

    copied: EventId
    head: Position


class Rewrite:
    """One attempt to erase: the arguments of its steps."""

    def __init__(
        self,
        session_id: str,
        targets: Sequence[ErasureTarget],
        record: Record,
        erased: str,
        sealer: Sealer | None,
    ) -> None:
        self.session_id, self._targets, self._token, self._sealer = session_id, targets, uuid4().hex, sealer
        event = encode(PayloadErased({"erased": [str(target.id) for target in targets], **record}))
        self._event = event._replace(facts=sealed_facts(event.facts)) if sealer else event
        self._known = erased
        self._erased = str(Ranges.parse(erased) | Ranges.of(target.id.revision for target in targets))

    def arguments(self, standing: RewriteProgress) -> tuple[list[bytes], bytes]:
        """Those of the next step: the event that records the erasure, once the end may be near, and what to do."""
        is_near = standing.head.id.revision - standing.copied.revision <= STEP_ENTRIES
        if not is_near:
            return [], orjson.dumps(self._options(standing))
        event = chain_batch(self.session_id, [self._event], ANY, standing.head, self._sealer).arguments
        return event, orjson.dumps(self._options(standing))

    def _options(self, standing: RewriteProgress) -> dict[str, Any]:
        sealed = {"sealed": self._sealer.root.decode()} if self._sealer else {}
        last = self._targets[-1]
        first = bisect_right(self._targets, standing.copied, key=lambda target: target.id)
        return {
            "token": self._token,
            "copied": "" if standing.copied == START else str(standing.copied),
            "entries": STEP_ENTRIES,
            "bytes": STEP_BYTES,
            "patience": PATIENCE_MS,
            "bodies": {str(target.id): target.commitment for target in self._targets[first : first + STEP_ENTRIES]},
            "last": [str(last.id), last.link],
            "known": self._known,
            "erased": self._erased,
            **sealed,
        }
