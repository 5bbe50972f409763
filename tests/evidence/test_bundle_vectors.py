"""The bundles in `docs/vectors/bundles`, for who writes a verifier: what is to be said of them, and what ours say."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from support.both_verifiers import BothVerifiers
from support.bundle_vectors import FOLDER, REPORTS, bundle_vectors

VECTORS = bundle_vectors()
TOLD: dict[str, Any] = json.loads(REPORTS.read_text())


@pytest.mark.parametrize("name", VECTORS)
def test_both_verifiers_say_what_is_to_be_said(both: BothVerifiers, name: str) -> None:
    told = TOLD[name]
    found = both.report((FOLDER / f"{name}.zip").read_bytes(), told["expect"], told["keys"])
    assert found == (told["exit_code"], told["report"])


@pytest.mark.parametrize("name", VECTORS)
def test_the_files_are_as_they_are_made(name: str) -> None:
    again = "run PYTHONPATH=tests python -m support.bundle_vectors, if the format has changed"
    with zipfile.ZipFile(FOLDER / f"{name}.zip") as archive:
        assert {info.filename: archive.read(info) for info in archive.infolist()} == VECTORS[name].files, again
    assert VECTORS[name].told(VECTORS[name].data) == TOLD[name], again


def test_there_is_one_for_every_kind_of_finding() -> None:
    assert {path.stem for path in FOLDER.glob("*.zip")} == {*VECTORS} == {*TOLD}
    found = set[str]()
    for told in TOLD.values():
        problems = [*told["report"]["problems"]]
        problems += [one for session in told["report"]["sessions"] for one in session["problems"]]
        found |= {one["code"] for one in problems}
    assert found >= {"link", "salt", "missing", "order", "base", "content", "unexplained", "expected", "signature"}
    assert found >= {"file", "summary", "seal", "manifest", "version", "layout"}


def test_the_zip_files_need_nothing_special() -> None:
    with zipfile.ZipFile(io.BytesIO((FOLDER / "intact.zip").read_bytes())) as archive:
        assert archive.testzip() is None
