"""Verifying a bundle in this process: by the very verifier that a bundle has with it, see `evidence.verifier`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..audit.anchors import Anchor
from ..errors import BundleError
from ..event_log import Progress
from ..files import open_named
from .reading import BundleReader
from .verifier import UnreadableBundleError, verify


@dataclass(frozen=True, slots=True)
class BundleProblem:
    """Something that is not as it was written.

    Attributes:
        code: What kind of thing, for programs; docs/bundle.md lists them.
        problem: What, for people.
        revision: The event it is about; None where it is about none.
    """

    code: str
    problem: str
    revision: int | None = None

    def __str__(self) -> str:
        return self.problem


@dataclass(frozen=True, slots=True)
class BundleSeal:
    """The seal of a session that holds.

    Attributes:
        size: How many records the log had that was signed.
        revision: The event that was sealed.
        time: When it was sealed, by the clock of who sealed it: RFC 3339.
        signed_by: The name of the key; None where no key was given to check it with.
    """

    size: int
    revision: int
    time: str
    signed_by: str | None


@dataclass(frozen=True, slots=True)
class VerifiedSession:
    """What verifying found of a session in a bundle.

    Attributes:
        session_id: The session.
        revision: How many events it has.
        link: The hash chain at the last of them, base64url.
        events: How many are in the bundle.
        withheld: Of how many the content was left out.
        erased: Of how many the content was erased.
        seal: The seal that covers it; None if none does.
        problems: What is wrong with it.
    """

    session_id: str
    revision: int
    link: str
    events: int
    withheld: int
    erased: int
    seal: BundleSeal | None
    problems: tuple[BundleProblem, ...]


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What verifying a bundle found.

    Attributes:
        ok: Whether everything is as it was written.
        sessions: The sessions in it.
        problems: What is wrong with the bundle as a whole.
    """

    ok: bool
    sessions: tuple[VerifiedSession, ...]
    problems: tuple[BundleProblem, ...]
    _json: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything of it as plain JSON values: what the verifiers in a bundle print with `--json`."""
        return self._json


def verify_bundle(
    file: str | Path | IO[bytes],
    *,
    expect: Iterable[Anchor | str] = (),
    keys: Iterable[str] = (),
    progress: Progress = lambda done, total: None,
) -> BundleReport:
    """Verify an evidence bundle; no server is asked.

    Args:
        file: Its path; or a file opened for reading bytes, which can seek.
        expect: Links that were noted elsewhere: anchors, or `SESSION:REVISION:LINK`.
        keys: Keys of who may have signed seals, as `NAME+HASH+KEY`; without any, no signature is checked.
        progress: Called with how many bytes of the file were read, and of how many.

    Raises:
        BundleError: When it is no bundle, or too damaged to say anything of what is in it.
        OSError: When the file cannot be opened.
    """
    noted = [f"{one.session_id}:{one.revision}:{one.link}" if isinstance(one, Anchor) else one for one in expect]
    with opened(file) as bundle, bundle_errors():
        return _report(verify(bundle, noted, keys, progress))


def sessions_in(file: str | Path | IO[bytes]) -> list[str]:
    """The ids of the sessions that a bundle says that it has, in its order; nothing else of it is looked at.

    Args:
        file: As for `verify_bundle`.

    Raises:
        BundleError: When it is no bundle.
        OSError: When the file cannot be opened.
    """
    with opened(file) as bundle, bundle_errors():
        return [one["session_id"] for one in BundleReader(bundle).manifest["sessions"]]


def created_at(file: str | Path | IO[bytes]) -> datetime:
    """When a bundle says that it was made: of several backups, the newest is to be brought back first.

    Args:
        file: As for `verify_bundle`.

    Raises:
        BundleError: When it is no bundle.
        OSError: When the file cannot be opened.
    """
    with opened(file) as bundle, bundle_errors():
        told = str(BundleReader(bundle).manifest["created_at"])
    try:
        return datetime.fromisoformat(told.replace("Z", "+00:00")).astimezone(timezone.utc)
    except (ValueError, OverflowError) as error:
        raise BundleError("manifest", "its manifest says that it was made at a time that is none") from error


@contextmanager
def opened(file: str | Path | IO[bytes]) -> Iterator[BinaryIO]:
    """A file that can seek; one that was named is closed afterwards."""
    if isinstance(file, (str, Path)):
        with open_named(file) as found:
            yield found
    else:
        yield cast(BinaryIO, file)


@contextmanager
def bundle_errors() -> Iterator[None]:
    """What the verifier raises, which knows nothing of this package, as an error of this package."""
    try:
        yield
    except UnreadableBundleError as error:
        raise BundleError(error.code, error.problem) from error


def _report(found: dict[str, Any]) -> BundleReport:
    sessions = tuple(map(_session, found["sessions"]))
    return BundleReport(found["ok"], sessions, tuple(map(_problem, found["problems"])), found)


def _session(found: dict[str, Any]) -> VerifiedSession:
    names = ("session_id", "revision", "link", "events", "withheld", "erased")
    seal = BundleSeal(**found["sealed"]) if found["sealed"] else None
    told = {name: found[name] for name in names}
    return VerifiedSession(**told, seal=seal, problems=tuple(map(_problem, found["problems"])))


def _problem(found: dict[str, Any]) -> BundleProblem:
    return BundleProblem(found["code"], found["problem"], found.get("revision"))
