"""The page of a bundle that verifies it, opened as a file: it says what the other verifiers say, and asks nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from strands_session_log.evidence.verifiers import verifier_files
from support.bundle_vectors import FOLDER, REPORTS

pytestmark = pytest.mark.viewer
TOLD: dict[str, Any] = json.loads(REPORTS.read_text())


def test_the_page_says_what_the_other_verifiers_say(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "verify.html"
    path.write_bytes(dict(verifier_files())["verify.html"])
    page, complaints, asked = browser.new_page(), list[str](), list[str]()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    for name, told in TOLD.items():
        page.locator("#expect").evaluate("(area, text) => (area.value = text)", "\n".join(told["expect"]))
        page.locator("#keys").evaluate("(area, text) => (area.value = text)", "\n".join(told["keys"]))
        page.locator("#file").set_input_files(FOLDER / f"{name}.zip")
        expect(page.locator("#verdict")).to_have_attribute("data-code", str(told["exit_code"]))
        expect(page.locator("#json")).to_have_text(
            json.dumps(told["report"], ensure_ascii=False, separators=(",", ":"))
        )
        page.locator("#file").set_input_files([])
        page.locator("#verdict").evaluate("(verdict) => verdict.removeAttribute('data-code')")
    assert complaints == []
    assert asked == [path.as_uri()]
    page.close()
