"""Scripts of others are those that were chosen, with their licences, and every one that lies there is named."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from strands_session_log_consumers.viewer.settings import STATIC, TEMPLATES
from support import vendor
from support.vendor import VENDORED, VendoredPackage, digest, packages, unpack


def test_what_is_vendored_is_what_vendor_toml_names_byte_for_byte() -> None:
    named = {
        str((package.folder / Path(name).name).relative_to(VENDORED)): expected
        for package in packages()
        for name, expected in package.files.items()
    }
    there = {
        str(path.relative_to(VENDORED)): digest(path.read_bytes()) for path in VENDORED.rglob("*") if path.is_file()
    }
    assert there == named


def test_every_vendored_package_brings_its_licence() -> None:
    assert all("LICENSE" in package.files and package.license for package in packages())


def test_no_page_or_script_names_a_file_of_another_server() -> None:
    ours = [*TEMPLATES.rglob("*.html"), *(path for path in STATIC.rglob("*") if not path.is_relative_to(VENDORED))]
    texts = {path.name: path.read_text() for path in ours if path.is_file()}
    outside = {name for name, text in texts.items() if "//cdn" in text or 'src="http' in text or "url(http" in text}
    assert outside == set()


@pytest.mark.parametrize("content", [b"other", b""], ids=["changed", "empty"])
def test_a_package_that_is_not_what_was_named_is_refused(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor, "VENDORED", tmp_path)
    archive = tmp_path / "it.tgz"
    with tarfile.open(archive, "w:gz") as packed:
        entry = tarfile.TarInfo("package/it.js")
        entry.size = len(content)
        packed.addfile(entry, io.BytesIO(content))
    whole = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()

    with pytest.raises(SystemExit, match=r"it\.tgz is not what"):
        unpack(VendoredPackage("it", "1", "0BSD", "sha512-other", {"it.js": digest(content)}), archive)
    with pytest.raises(SystemExit, match=r"it\.js of it\.tgz is not what"):
        unpack(VendoredPackage("it", "1", "0BSD", whole, {"it.js": digest(b"expected")}), archive)
    unpack(VendoredPackage("it", "1", "0BSD", whole, {"it.js": digest(content)}), archive)
    assert (tmp_path / "it-1" / "it.js").read_bytes() == content
