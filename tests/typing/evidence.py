"""Evidence bundles as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from strands_session_log import (
    Anchor,
    BundledSession,
    BundleReport,
    BundleSummary,
    ImportedSession,
    SessionLog,
    VerifiedSession,
    verify_bundle,
)
from strands_session_log.evidence import (
    BundleProblem,
    BundleSeal,
    ExportOptions,
    ImportOptions,
    OpensMore,
    SealedHead,
    SealSource,
    Sink,
    created_at,
    export,
    import_bundle,
    sessions_in,
)

log: SessionLog = SessionLog.connect("valkey://localhost:6379")

with Path("case-7.zip").open("wb") as bundle:
    sink: Sink = bundle
    summary: BundleSummary = log.export(["s-42", "s-43"], bundle, types="message.*", until="2026-01-31")
    log.export(None, sink, after=7, agent="default", redact_bodies=True, progress=lambda done, total: None)
exported: BundledSession = summary.sessions[0]
proved: tuple[int, str, int | None] = exported.withheld, exported.link, exported.sealed


class Sealed:
    """A seal of somebody's own."""

    record, checkpoint = b"{}", "log\n1\n"

    def to_text(self) -> str:
        return ""


def sealed(session_id: str) -> SealedHead | None:
    return Sealed()


seals: SealSource = sealed
log.export("s-42", sink, seals=seals)


def next_file(number: int) -> AbstractContextManager[Sink]:
    return nullcontext(sink)


more: OpensMore = next_file
further: tuple[BundleSummary, ...] = log.export(None, sink, more=more).more

report: BundleReport = verify_bundle("case-7.zip", expect=[Anchor("s-42", 7, "LINK"), "s-43:1:LINK"], keys=["a+b+c"])
one: VerifiedSession = report.sessions[0]
problem: BundleProblem = one.problems[0]
seal: BundleSeal | None = one.seal
names: list[str] = sessions_in("case-7.zip")
is_newer: bool = created_at("case-7.zip") > created_at("case-6.zip")
wanted: ExportOptions = {"types": ["message.*"], "redact_bodies": False}
log.export("s-42", sink, **wanted)

imported: list[ImportedSession] = log.import_("case-7.zip", sessions=["s-42"], dry_run=True)
one_of_them: ImportedSession = imported[0]
refused: tuple[bool, str, str] = one_of_them.is_refused, one_of_them.outcome, one_of_them.reason
how: ImportOptions = {"skip_refused": True, "progress": lambda done, total: None}
with Path("case-7.zip").open("rb") as file:
    log.import_(file, **how)
functions = export, import_bundle
