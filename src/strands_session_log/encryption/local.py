"""Keys in a directory of this machine: a master key in one file, wrapped data keys beside it."""

from __future__ import annotations

import logging
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import orjson

from ..codec.sealed import NONCE_BYTES
from ..errors import KeyStoreError, WrongKeyError
from .data_key import SECRET_BYTES, aes, place
from .directory import KeyDirectory, version_of
from .wrapped import WrappedKeys

logger = logging.getLogger(__name__)

MASTER_FILE = "master.key"
_ID_BYTES = 8
_PURPOSE = b"strands-session-log key 1 "
_HEAD = b"# Master keys of strands-session-log, the newest first. Whoever has them and the files beside can read all.\n"
_NEW = "make one with `session-log keys new DIR`"
_RESTORE = "restore it from a copy of the key store"


class _Master(NamedTuple):
    """A master key.

    Attributes:
        id: What its digest begins with, which tells a file that was damaged, too.
        secret: 32 bytes.
    """

    id: str
    secret: bytes

    @classmethod
    def new(cls) -> _Master:
        return cls.of(os.urandom(SECRET_BYTES))

    @classmethod
    def of(cls, secret: bytes) -> _Master:
        return cls(sha256(_PURPOSE + secret).hexdigest()[: 2 * _ID_BYTES], secret)

    def __repr__(self) -> str:
        return f"<master key {self.id}>"


class _MasterDirectory(KeyDirectory):
    """Takes no key that was wrapped with a master key that others are about to destroy."""

    def accepts(self, record: bytes) -> bool:
        masters = read_masters(self)
        keys = orjson.loads(record)["keys"]
        return not keys or keys[-1]["wrapper"] == masters[0].id


class LocalKeys(WrappedKeys):
    """A `KeyProvider` in a directory: `master.key`, and a file for each session with its wrapped keys.

    Processes of one machine may share it; a key that is shredded or rotated is so for all of them at once. Keep it on
    another disk than the server's data, and away from its backups.

    Args:
        directory: Its path, see `new`.

    Raises:
        KeyStoreError: When there is no key store, or its master key cannot be read.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        records = _MasterDirectory(directory)
        self._directory, self._file = records, records.path / MASTER_FILE
        # Of one moment, in one attribute: several threads ask.
        self._known_masters: tuple[object, tuple[_Master, ...]] = (None, ())
        super().__init__(records, wrap=self._wrap_locally, unwrap=self._unwrap_locally)
        self._current()

    @classmethod
    def new(cls, directory: str | os.PathLike[str]) -> LocalKeys:
        """Make a key store with a new master key.

        Raises:
            KeyStoreError: When there is one already, or it cannot be written.
        """
        records = KeyDirectory(directory)
        file = records.path / MASTER_FILE
        with records.locked():
            if records.read(file) is not None:
                raise KeyStoreError(
                    str(records.path), "there is a key store already", "use it, or name another directory"
                )
            records.write(file, _text((_Master.new(),)))
        return cls(directory)

    @property
    def path(self) -> Path:
        """The directory."""
        return self._directory.path

    @property
    def master_ids(self) -> tuple[str, ...]:
        """Which master keys there are, the one that wraps first: more than one while a rotation is not done."""
        return tuple(one.id for one in self._current())

    def rotate_master(self, progress: Callable[[int], object] = lambda done: None) -> int:
        """Make a new master key, wrap all data keys with it, and destroy the one before; content stays as it is.

        If that is interrupted, do it again: the old master key stays until nothing needs it.

        Args:
            progress: Called with how many sessions are done.

        Returns:
            How many sessions have keys.
        """
        with self._directory.locked():
            masters = read_masters(self._directory)
            if len(masters) == 1:
                masters = (_Master.new(), *masters)
                self._directory.write(self._file, _text(masters))
        done = 0
        # Whoever stores a key from now on wraps it with the new one, so those that are listed now are all.
        for session_id in self.records.session_ids():
            self.rewrap(session_id)
            done += 1
            progress(done)
        with self._directory.locked():
            self._drop_masters_after(masters[0])
        return done

    def _drop_masters_after(self, newest: _Master) -> None:
        """Destroy the master keys that nothing needs: without them, no key would open that they have wrapped."""
        if read_masters(self._directory)[0] != newest:
            # Another rotation has begun meanwhile, and ends itself.
            return
        for keys in self.all_keys():
            if any(one.wrapper != newest.id for one in keys.keys):
                reason = f"a key of session {keys.session_id!r} is wrapped with another master key than {newest.id}"
                raise KeyStoreError(
                    str(self.path), reason, "rotate the master key again; the one before stays until then"
                )
        self._directory.write(self._file, _text((newest,)))

    def _current(self) -> tuple[_Master, ...]:
        """The master keys as they are in the file now, the one first that wraps."""
        version, (known, masters) = version_of(self._file), self._known_masters
        if not masters or version != known:
            masters = read_masters(self._directory)
            self._known_masters = version, masters
        return masters

    def _wrapper(self) -> str:
        return self._current()[0].id

    def _wrapper_of(self, wrapped: bytes) -> str:
        return wrapped[:_ID_BYTES].hex()

    def _wrap_locally(self, secret: bytes, context: Mapping[str, str]) -> bytes:
        master, nonce = self._current()[0], os.urandom(NONCE_BYTES)
        return bytes.fromhex(master.id) + nonce + aes(master.secret).encrypt(nonce, secret, _bound(context))

    def _unwrap_locally(self, wrapped: bytes, context: Mapping[str, str]) -> bytes:
        from cryptography.exceptions import InvalidTag

        masters = self._current()
        id_, text = wrapped[:_ID_BYTES].hex(), wrapped[_ID_BYTES + NONCE_BYTES :]
        nonce = wrapped[_ID_BYTES : _ID_BYTES + NONCE_BYTES]
        master = next((one for one in masters if one.id == id_), None)
        if master is None:
            there = ", ".join(one.id for one in masters)
            reason = f"it was wrapped with master key {id_}, and {self._file} has {there}"
            raise WrongKeyError(context["session_id"], context["key_id"], reason)
        try:
            return aes(master.secret).decrypt(nonce, text, _bound(context))
        except (InvalidTag, ValueError) as error:
            reason = f"its file in {self.path} was changed: {_RESTORE}"
            raise WrongKeyError(context["session_id"], context["key_id"], reason) from error


def read_masters(directory: KeyDirectory) -> tuple[_Master, ...]:
    """The master keys in a key store, the newest first.

    Raises:
        KeyStoreError: When there are none, or the file holds something else.
    """
    file = directory.path / MASTER_FILE
    text = directory.read(file)
    if text is None:
        raise KeyStoreError(str(directory.path), f"it has no {MASTER_FILE}", _NEW)
    if file.stat().st_mode & 0o077:
        logger.warning("file=<%s> | others may read the master key: chmod 600", file)
    found = _masters_in(text)
    if not found:
        # Nothing of what stands there: it may be a key.
        reason = "it is no file of master keys: a line is not `<id> <base64>`, or the key is not the one its id tells"
        raise KeyStoreError(str(file), reason, _RESTORE)
    return found


def _masters_in(text: bytes) -> tuple[_Master, ...]:
    """The keys of a file, one a line; none where anything else stands there."""
    try:
        lines = [line.split() for line in text.decode("ascii").splitlines() if line and not line.startswith("#")]
        found = tuple(_Master.of(b64decode(secret, validate=True)) for _, secret in lines)
    except ValueError:
        return ()
    is_sound = [one.id for one in found] == [id_ for id_, _ in lines]
    return found if is_sound and all(len(one.secret) == SECRET_BYTES for one in found) else ()


def _bound(context: Mapping[str, str]) -> bytes:
    return place(_PURPOSE, (context["session_id"].encode(), context["key_id"].encode()))


def _text(masters: tuple[_Master, ...]) -> bytes:
    return _HEAD + b"".join(b"%b %b\n" % (one.id.encode(), b64encode(one.secret)) for one in masters)
