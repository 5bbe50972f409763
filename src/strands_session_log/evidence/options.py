"""What exporting and importing can be told, by name; what each means stands with `export` and `import_bundle`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from ..event_log import Progress
    from ..ids import Point
    from ..seals import SealedLog
    from .archive import OpensMore
    from .bundled import SealSource


class ExportOptions(TypedDict, total=False):
    """The keyword arguments of `SessionLog.export`."""

    after: Point | None
    until: Point | None
    types: str | Sequence[str] | None
    agent: str | None
    redact_bodies: bool
    decrypt: bool
    seals: SealSource | None
    since: SealedLog | tuple[SealedLog, int] | None
    more: OpensMore | None
    progress: Progress


class ImportOptions(TypedDict, total=False):
    """The keyword arguments of `SessionLog.import_`."""

    sessions: Iterable[str] | None
    skip_refused: bool
    dry_run: bool
    progress: Progress
