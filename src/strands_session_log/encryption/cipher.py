"""Encrypts what a log writes, and opens what it reads: the one place that does either.

Everything that is encrypted is bound to where it stands, and opens nowhere else: content of an event to the session the
chain begins with, and to all that its entry says in the clear. With the content goes the link of the event before it:
who holds the key sees that history was rewritten, though the chain was recomputed. See docs/adr/0048.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..chain import LINK_BYTES, genesis, to_text
from ..codec import FIELDS, Encoded, RawEntry, encode, sealed_facts
from ..codec.sealed import MAGIC, Frame, is_sealed
from ..errors import (
    CiphertextError,
    EncryptionError,
    KeyMissingError,
    KeyShreddedError,
    SessionEncryptedError,
    WrongKeyError,
)
from ..errors.quoting import reason_of
from ..events import Event
from .data_key import DataKey, KeyProvider, place

_BODY, _OTHER = b"strands-session-log body 1 ", b"strands-session-log %b 1 "
_NAMES = list(FIELDS)
_BASE, _LINK = FIELDS.index(b"base"), 2 * FIELDS.index(b"link") + 1
_SALT = 2 * FIELDS.index(b"salt") + 1
_CLEAR = [FIELDS.index(name) for name in (b"type", b"agent", b"event", b"time", b"v", b"trace", b"retained")]
_MOST_ROOTS = 4096


class Sealer(NamedTuple):
    """Encrypts the content of events of one session.

    Attributes:
        key: With what.
        root: The session the chain begins with, whose key it is.
    """

    key: DataKey
    root: bytes

    def body(self, previous: bytes, revision: bytes, base: bytes, clear: Sequence[bytes], body: bytes) -> bytes:
        """A body as it is to stand in its entry.

        Args:
            previous: The link before it, 32 bytes.
            revision: Its position, in decimal.
            base: The id of the event that its batch follows.
            clear: `type, agent, event, time, v, trace, retained` as they stand in the entry.
            body: What to encrypt.
        """
        return self.key.seal(place(_BODY, (self.root, revision, base, *clear)), previous + body)


class Cipher:
    """Encrypts and opens for the sessions of one namespace; one for any number of threads.

    Args:
        provider: Where the keys are; None to encrypt and to open nothing.
        origin_of: Asks the server for the session that another one descends from, which is itself unless it is a fork;
            and whether its content is encrypted.
    """

    def __init__(self, provider: KeyProvider | None, origin_of: Callable[[str], tuple[str, bool]]) -> None:
        self._provider, self._origin_of = provider, origin_of
        self._roots: OrderedDict[str, str] = OrderedDict()

    @property
    def is_active(self) -> bool:
        """Whether there are keys: then all that is written is encrypted."""
        return self._provider is not None

    @property
    def provider(self) -> KeyProvider | None:
        """Where the keys are; None if there are none."""
        return self._provider

    def may_follow(self, entry: RawEntry) -> bool:
        """Whether who has read that a session ends with this entry may append to it without being told anything of it.

        Who encrypts may. Who does not must know that the session is not encrypted, which an erased entry does not say.
        """
        return self.is_active or (_has_content(entry) and not is_encrypted(entry))

    def learn(self, session_id: str, root: str) -> None:
        """Note which session another one descends from, as the server says."""
        roots = self._roots
        roots[session_id] = root
        while len(roots) > _MOST_ROOTS:
            roots.popitem(last=False)

    def sealer(self, session_id: str) -> Sealer | None:
        """What encrypts the events that a session is to be given; None where nothing is encrypted.

        Raises:
            EncryptionError: When there is no key, and none can be had.
        """
        if self._provider is None:
            return None
        root = self._roots.get(session_id, session_id)
        key = self._provider.current(root)
        if key is None:
            # Before a key is made for a fork, which has that of another session, or beside one in another key store.
            root, is_sealed = self._asked(session_id)
            key = self._provider.current(root)
            if key is None and is_sealed:
                raise KeyMissingError(session_id, "", is_of_others=True)
            key = key or self._provider.create(root)
        return Sealer(key, root.encode())

    def sealer_beside(self, session_id: str) -> Sealer | None:
        """What encrypts an event that tells of the session as a whole: as its content is, or is not.

        Raises:
            SessionEncryptedError: When it is encrypted, and there are no keys.
            EncryptionError: When there is no key of it, and none can be had.
        """
        _, is_sealed = self._asked(session_id)
        if is_sealed and not self.is_active:
            raise SessionEncryptedError(session_id)
        return self.sealer(session_id) if is_sealed else None

    def opened(self, session_id: str, page: Sequence[RawEntry], *, is_strict: bool) -> Sequence[RawEntry]:
        """Entries of a session with their content opened, as far as it is encrypted.

        Args:
            session_id: The session.
            page: Entries that follow each other.
            is_strict: Whether content without its key is an error; else it stays as it is, and its event is sealed.

        Raises:
            CiphertextError: When content is not what was written there.
            KeyMissingError: When there is no such key; likewise `WrongKeyError`, `KeyShreddedError`.
            EncryptionError: When the keys cannot be had.
        """
        if self._provider is None:
            return page
        found: list[RawEntry] | None = None
        keys = dict[bytes, DataKey]()
        for at, entry in enumerate(page):
            if entry[1][-1][:4] == MAGIC:
                found = list(page) if found is None else found
                found[at] = self._opened(session_id, entry, page[at - 1] if at else None, is_strict, keys)
            elif found is not None and _has_content(entry):
                raise CiphertextError(entry[0].decode(), "it is not encrypted, though an event before it is")
        return page if found is None else found

    def opened_one(self, session_id: str, entry: RawEntry) -> RawEntry:
        """One entry with its content opened; as it is, where its key is not among those given."""
        (found,) = self.opened(session_id, [entry], is_strict=False)
        return found

    def problem(self, session_id: str, entry: RawEntry, before: RawEntry | None) -> str:
        """Why content is not what was written, as far as who has the key can tell; empty if nothing says so.

        Args:
            session_id: The session.
            entry: An entry that stands in the chain as it should.
            before: The one before it; None if it is the first.
        """
        if self._provider is None or not is_encrypted(entry):
            return ""
        try:
            self._opened(session_id, entry, before, False, {})
        except CiphertextError as error:
            return str(error)
        except EncryptionError:
            # Who verifies needs no key, nor the place where it is.
            return ""
        return ""

    def _opened(
        self,
        session_id: str,
        entry: RawEntry,
        before: RawEntry | None,
        is_strict: bool,
        keys: dict[bytes, DataKey],
    ) -> RawEntry:
        entry_id, flat = entry
        if flat[::2] != _NAMES:
            return entry
        name, values = entry_id.decode(), flat[1::2]
        frame = _frame(name, values[-1])
        try:
            key = keys.get(frame.key_id) or self._key(session_id, name, frame.key_id)
        except (KeyMissingError, WrongKeyError, KeyShreddedError):
            if is_strict:
                raise
            return entry
        keys[frame.key_id] = key
        revision, clear = entry_id.partition(b"-")[2], [values[at] for at in _CLEAR]
        text = key.open(place(_BODY, (key.session_id.encode(), revision, values[_BASE], *clear)), frame)
        if text is None or len(text) < LINK_BYTES:
            raise CiphertextError(name, "its content is encrypted, and was changed, or was not written for this place")
        if not _is_after(text[:LINK_BYTES], key, revision, before):
            raise CiphertextError(name, "when it was written, another history came before it")
        return (entry_id, [*flat[:-1], text[LINK_BYTES:]])

    def seal_stored(self, namespace: str, name: str, content: bytes) -> bytes:
        """Encrypt what belongs to no session, under a key of the namespace; as it is, where nothing is encrypted."""
        if self._provider is None:
            return content
        owner = stored_by(namespace)
        key = self._provider.current(owner) or self._provider.create(owner)
        return key.seal(place(_OTHER % b"storage", (owner.encode(), name.encode())), content)

    def open_stored(self, namespace: str, name: str, content: bytes) -> bytes:
        """The reverse of `seal_stored`; what is not encrypted is what it is.

        Raises:
            EncryptionError: As `opened` does.
        """
        if not is_sealed(content):
            return content
        frame, owner = _frame(name, content), stored_by(namespace)
        if self._provider is None:
            raise KeyMissingError(owner, "")
        key = self._provider.find(owner, frame.key_id)
        if key is None:
            raise KeyMissingError(owner, "", frame.key_id.hex())
        text = key.open(place(_OTHER % b"storage", (owner.encode(), name.encode())), frame)
        if text is None:
            raise CiphertextError(name, "it was changed, or was not written under this key")
        return text

    def seal(self, session_id: str, purpose: bytes, parts: Sequence[bytes], content: bytes) -> bytes:
        """Encrypt what stands beside the events of a session; as it is, where nothing is encrypted."""
        sealer = self.sealer(session_id)
        if sealer is None:
            return content
        return sealer.key.seal(place(_OTHER % purpose, (sealer.root, session_id.encode(), *parts)), content)

    def open(self, session_id: str, purpose: bytes, parts: Sequence[bytes], content: bytes) -> bytes:
        """The reverse of `seal`; what is not encrypted is what it is.

        Raises:
            EncryptionError: As `opened` does.
        """
        if not is_sealed(content):
            return content
        what = purpose.decode()
        frame = _frame(what, content)
        key = self._key(session_id, "", frame.key_id)
        text = key.open(place(_OTHER % purpose, (key.session_id.encode(), session_id.encode(), *parts)), frame)
        if text is None:
            raise CiphertextError(what, "it was changed, or was not written for this place")
        return text

    def _key(self, session_id: str, entry_id: str, key_id: bytes) -> DataKey:
        if self._provider is None:
            raise KeyMissingError(session_id, entry_id)
        root = self._roots.get(session_id, session_id)
        found = self._provider.find(root, key_id)
        if found is None:
            found = self._provider.find(self._asked(session_id)[0], key_id)
        if found is None:
            raise KeyMissingError(session_id, entry_id, key_id.hex())
        return found

    def _asked(self, session_id: str) -> tuple[str, bool]:
        origin = self._origin_of(session_id)
        self.learn(session_id, origin[0])
        return origin


def encode_beside(event: Event, sealer: Sealer | None) -> Encoded:
    """An event that tells of the session as a whole; the feed is told of it as of all that is encrypted, if it is."""
    encoded = encode(event)
    return encoded._replace(facts=sealed_facts(encoded.facts)) if sealer else encoded


def _frame(name: str, content: bytes) -> Frame:
    try:
        return Frame.of(content)
    except ValueError as error:
        raise CiphertextError(name, reason_of(error)) from error


def _is_after(link: bytes, key: DataKey, revision: bytes, before: RawEntry | None) -> bool:
    """Whether the link in the content is that of the entry before, if that was read."""
    if before is not None:
        return bool(to_text(link) == before[1][_LINK])
    return revision != b"1" or link == genesis(key.session_id)


def stored_by(namespace: str) -> str:
    """Whose key it is that what belongs to no session is encrypted with: no session can be called so."""
    return f"storage\t{namespace}"


def _has_content(entry: RawEntry) -> bool:
    """Whether an entry was not erased; what is none of ours has nothing that we know."""
    return entry[1][::2] == _NAMES and bool(entry[1][_SALT])


def is_encrypted(entry: RawEntry) -> bool:
    """Whether the content of an entry is encrypted, as it stands there."""
    return bool(entry[1][-1][:4] == MAGIC)
