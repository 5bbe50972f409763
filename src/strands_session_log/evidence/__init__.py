"""Evidence bundles: sessions in one file, verified without a server, and brought back from it. See docs/bundle.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_demand import on_demand

if TYPE_CHECKING:
    from .archive import OpensMore, Sink
    from .bundled import BundledSession, BundleSummary, SealedHead, SealSource
    from .exporting import export
    from .importing import ImportedSession, import_bundle
    from .options import ExportOptions, ImportOptions
    from .verifying import (
        BundleProblem,
        BundleReport,
        BundleSeal,
        VerifiedSession,
        created_at,
        sessions_in,
        verify_bundle,
    )

__all__ = [
    "BundleProblem",
    "BundleReport",
    "BundleSeal",
    "BundleSummary",
    "BundledSession",
    "ExportOptions",
    "ImportOptions",
    "ImportedSession",
    "OpensMore",
    "SealSource",
    "SealedHead",
    "Sink",
    "VerifiedSession",
    "created_at",
    "export",
    "import_bundle",
    "sessions_in",
    "verify_bundle",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = on_demand(
        __name__,
        {
            "archive": "OpensMore Sink",
            "bundled": "BundleSummary BundledSession SealSource SealedHead",
            "exporting": "export",
            "importing": "ImportedSession import_bundle",
            "options": "ExportOptions ImportOptions",
            "verifying": "BundleProblem BundleReport BundleSeal VerifiedSession created_at sessions_in verify_bundle",
        },
    )
