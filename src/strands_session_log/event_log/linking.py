"""The link an entry must have, given the one before it: what whoever reads a session can hold against it."""

from __future__ import annotations

from typing import NamedTuple

from .. import chain
from ..codec import Entry
from ..ids import START, EventId


class Chained(NamedTuple):
    """An event as the next one knows it.

    Attributes:
        id: Where it stands; `START` before the first.
        base: What its batch follows; empty where nobody has looked, which is before the first of a batch only.
        link: The hash chain there, base64url; of `START`, the beginning of the chain.
    """

    id: EventId
    base: str
    link: str

    @classmethod
    def start(cls, root: str) -> Chained:
        """Before the first event of a session whose chain begins with this session id."""
        return cls(START, "", chain.to_text(chain.genesis(root)).decode())

    @classmethod
    def of(cls, entry: Entry) -> Chained:
        """An entry, as it stands there."""
        return cls(entry.id, entry.base, entry.link)

    def continues(self, entry: Entry) -> bool:
        """Whether an entry has a base it can have here: this event, or what this event's batch follows.

        All of a batch have the same time. So whoever changes the time of one event has to change a base, too, and
        with it a link.
        """
        return entry.base == str(self.id) or (entry.base == self.base and entry.id.ms == self.id.ms)

    def links(self, entry: Entry) -> bool:
        """Whether an entry has the link that follows from this one and what stands in it."""
        clear = [part.encode() for part in (*entry.header, entry.retained)]
        previous, base = chain.exactly(self.link, chain.LINK_BYTES), entry.base.encode()
        link = chain.link(previous, base, entry.id.revision, clear, commitment_of(entry))
        return entry.link == chain.to_text(link).decode()


def commitment_of(entry: Entry) -> bytes:
    """What stands for the body of an entry in the chain, 32 bytes; none where it has no proper salt.

    With part of the body as salt, or of the salt as body, the hash would be the same.
    """
    if entry.is_erased:
        return chain.exactly(entry.body, chain.LINK_BYTES)
    salt = chain.exactly(entry.salt, chain.SALT_BYTES)
    return chain.commitment(salt, entry.body.encode()) if salt else b""
