"""Data keys that a wrapping key protects: of a key service (KMS), or of a file, see `local`."""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from ..codec.sealed import KEY_ID_BYTES
from ..errors import EncryptionError, KeyServiceError, KeyShreddedError, KeyStoreError, WrongKeyError, check_seconds
from ..errors.quoting import type_and_place
from .data_key import SECRET_BYTES, DataKey
from .records import KeyRecord, KeyRecords, ShreddedKey, WrappedKey

Wrap: TypeAlias = "Callable[[bytes, Mapping[str, str]], bytes]"
"""Wraps or unwraps a key: 32 bytes, or what was made of them; and what it is bound to, see `WrappedKeys`."""

_MOST_SESSIONS = 4096
_MOST_ATTEMPTS = 100
_LOOKS_EVERY = 0.05
"""Seconds after which others know that a key was shredded or rotated: to look each time would take too long."""


class _Known(NamedTuple):
    """What is known of a session's keys: as of which version, until when, the record, and what was unwrapped."""

    version: object
    until: float
    keys: KeyRecord
    opened: dict[bytes, DataKey]


class WrappedKeys:
    """A `KeyProvider` on a key service: it wraps and unwraps keys, and never sees content.

    The wrapped keys are kept in `records`, outside Valkey. Both callables are given what the key is bound to
    (`{"session_id": …, "key_id": …}`), for services that authenticate that; AWS calls it encryption context. They may
    be called from several threads at once.

    Args:
        records: Where the wrapped keys are kept: a `KeyDirectory`, or anything that is `KeyRecords`.
        wrap: Encrypts a key of 32 bytes.
        unwrap: The reverse; it raises what it likes where it cannot.
        name: Which wrapping key `wrap` uses, for the records; `rewrap` takes those that were wrapped by others.
        cache_for: For how many seconds a record is taken for what it was, where `records` cannot tell cheaply. A key
            that is shredded elsewhere may be used for so long.
    """

    def __init__(
        self, records: KeyRecords, *, wrap: Wrap, unwrap: Wrap, name: str = "", cache_for: float = 60.0
    ) -> None:
        check_seconds("cache_for", cache_for)
        self.records, self._wrap, self._unwrap, self._name = records, wrap, unwrap, name
        self._cache_for = cache_for
        # Without a lock: a process that is forked while another thread has it would wait for ever.
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def current(self, session_id: str) -> DataKey | None:
        """See `KeyProvider.current`."""
        known = self._look_up(session_id)
        # One whose keys were shredded may have been given a new one just now.
        return self._newest(session_id) if known.keys.shredded and not known.keys.keys else self._last(known)

    def find(self, session_id: str, key_id: bytes) -> DataKey | None:
        """See `KeyProvider.find`."""
        known = self._look_up(session_id)
        if key := known.opened.get(key_id):
            return key
        if known.keys.find(key_id) is None:
            # What is encrypted with it is there: it is newer than what is known.
            known = self._look_up(session_id, is_due=True)
        return self._opened(known, key_id)

    def create(self, session_id: str) -> DataKey:
        """See `KeyProvider.create`."""
        self._change(session_id, lambda keys: keys if keys.keys or keys.shredded else self._with_new_key(keys))
        return self._newest(session_id)

    def rotate(self, session_id: str) -> DataKey:
        """Give a session a new key, which encrypts what is written from now on; what was written keeps its own.

        So it goes on after its keys were shredded, too, under an id that is used anew.
        """
        self._change(session_id, self._with_new_key)
        return self._newest(session_id)

    def shred(self, session_id: str, *, reason: str = "", by: str = "") -> int:
        """Destroy the keys of a session: nobody can read its content any more, nor that of its forks, wherever it is.

        If that is interrupted, do it again: also where it says that there was no key any more, it leaves nothing of it.

        What is left in the records says that they were shredded, when, why and by whom.

        Args:
            session_id: The session; of forks, the one they descend from.
            reason: Why.
            by: Who.

        Returns:
            How many keys there were.
        """
        gone = 0

        def without(keys: KeyRecord) -> KeyRecord:
            nonlocal gone
            gone = len(keys.keys)
            # Who was interrupted may have left what was there: a record is written anew that is the same.
            return keys.without_keys(reason, by) if gone else replace(keys) if keys.shredded else keys

        self._change(session_id, without)
        return gone

    def rewrap(self, session_id: str) -> int:
        """Wrap the keys of a session anew that another wrapping key protects; content stays as it is.

        Returns:
            How many.
        """
        renewed = 0

        def anew(keys: KeyRecord) -> KeyRecord:
            nonlocal renewed
            wrapper = self._wrapper()
            old = [one for one in keys.keys if one.wrapper != wrapper]
            renewed = len(old)
            return keys if not old else self._all_anew(keys)

        self._change(session_id, anew)
        return renewed

    def keys_of(self, session_id: str) -> KeyRecord:
        """What is kept of a session's keys, as it stands there now."""
        return self._read(session_id)[1]

    def all_keys(self) -> Iterator[KeyRecord]:
        """The same of all sessions that have keys, or had."""
        for session_id in self.records.session_ids():
            yield self.keys_of(session_id)

    def _all_anew(self, keys: KeyRecord) -> KeyRecord:
        session_id = keys.session_id
        fresh = []
        for one in keys.keys:
            secret = self._call(self._unwrap, session_id, one.id, one.wrapped)
            wrapped = self._call(self._wrap, session_id, one.id, secret)
            fresh.append(WrappedKey(one.id, wrapped, self._wrapper_of(wrapped), one.created_at))
        return KeyRecord(session_id, tuple(fresh), keys.shredded)

    def _with_new_key(self, keys: KeyRecord) -> KeyRecord:
        id_ = os.urandom(KEY_ID_BYTES)
        wrapped = self._call(self._wrap, keys.session_id, id_, os.urandom(SECRET_BYTES))
        return keys.with_key(id_, wrapped, self._wrapper_of(wrapped))

    def _wrapper(self) -> str:
        """The name of the wrapping key that wraps now."""
        return self._name

    def _wrapper_of(self, wrapped: bytes) -> str:
        """The name of the wrapping key that a key was wrapped with just now."""
        return self._name

    def _change(self, session_id: str, change: Callable[[KeyRecord], KeyRecord]) -> None:
        for _ in range(_MOST_ATTEMPTS):
            record, keys = self._read(session_id)
            try:
                changed = change(keys)
            except (WrongKeyError, KeyServiceError):
                if self._read(session_id)[0] == record:
                    raise
                # Others have wrapped it with another key meanwhile, and destroyed that.
                continue
            if changed is keys or self.records.replace(session_id, record, changed.text):
                self._known.pop(session_id, None)
                return
        raise KeyServiceError(session_id, f"others changed its record during each of {_MOST_ATTEMPTS} attempts")

    def _newest(self, session_id: str) -> DataKey:
        """The key that encrypts as of now: what another thread has read before may be older."""
        known = self._look_up(session_id, is_due=True)
        if found := self._last(known):
            return found
        if known.keys.shredded:
            raise _shredded(session_id, known.keys.shredded[-1])
        raise KeyServiceError(session_id, "the key that was just stored is not there")

    def _last(self, known: _Known) -> DataKey | None:
        return self._opened(known, known.keys.keys[-1].id) if known.keys.keys else None

    def _look_up(self, session_id: str, *, is_due: bool = False) -> _Known:
        """What is known of a session's keys; as of now where that is due, else as of a moment ago."""
        known, now = self._known.get(session_id), time.monotonic()
        if known is not None and now < known.until and not is_due:
            return known
        # The version from before it is read: what changes in between is read once more.
        version = self.records.version(session_id)
        until = now + (self._cache_for if version is None else min(_LOOKS_EVERY, self._cache_for))
        if known is not None and version is not None and known.version == version:
            known = known._replace(until=until)
        else:
            known = _Known(version, until, self._read(session_id)[1], {})
        self._known[session_id] = known
        while len(self._known) > _MOST_SESSIONS:
            self._known.popitem(last=False)
        return known

    def _read(self, session_id: str) -> tuple[bytes | None, KeyRecord]:
        try:
            record = self.records.load(session_id)
            return record, KeyRecord(session_id) if record is None else KeyRecord.parse(session_id, record)
        except EncryptionError:
            raise
        except ValueError as error:
            where = str(getattr(self.records, "path", type(self.records).__name__))
            raise KeyStoreError(
                where, f"the record of session {session_id!r} cannot be read: {error}", "restore it from a copy"
            ) from error
        except Exception as error:
            raise KeyServiceError(session_id, type_and_place(error)) from error

    def _opened(self, known: _Known, key_id: bytes) -> DataKey | None:
        """A key that is known; None if it is not."""
        if found := known.opened.get(key_id):
            return found
        session_id = known.keys.session_id
        match known.keys.find(key_id):
            case ShreddedKey() as gone:
                raise _shredded(session_id, gone)
            case WrappedKey() as key:
                pass
            case None:
                return None
        try:
            secret = self._call(self._unwrap, session_id, key_id, key.wrapped)
        except (WrongKeyError, KeyServiceError):
            renewed = self._look_up(session_id, is_due=True)
            if renewed.keys.find(key_id) == key:
                raise
            # Others have wrapped it with another key meanwhile, and destroyed that.
            return self._opened(renewed, key_id)
        if type(secret) is not bytes or len(secret) != SECRET_BYTES:
            raise WrongKeyError(session_id, key_id.hex(), f"what was unwrapped is no key of {SECRET_BYTES} bytes")
        found = known.opened[key_id] = DataKey(session_id, key_id, secret)
        return found

    def _call(self, function: Wrap, session_id: str, key_id: bytes, value: bytes) -> bytes:
        try:
            return function(value, {"session_id": session_id, "key_id": key_id.hex()})
        except EncryptionError:
            raise
        except Exception as error:
            raise KeyServiceError(session_id, type_and_place(error)) from error


def _shredded(session_id: str, gone: ShreddedKey) -> KeyShreddedError:
    return KeyShreddedError(session_id, gone.shredded_at, gone.reason, gone.by)
