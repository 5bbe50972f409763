"""Copies of what an agent holds: made once of each message, and anew where it has changed."""

from __future__ import annotations

from typing import Any

from strands_session_log.lifecycle.contents import HeldCopies


def message(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"text": text}], **more}


def test_only_what_has_changed_is_copied_again() -> None:
    copies, held = HeldCopies(), [message("a"), message("b"), message("c")]
    before = copies.of(held)
    held[1]["content"][0]["text"] = "other"
    del held[0]
    held.append(message("d"))
    after = copies.of(held)
    assert after == [message("other"), message("c"), message("d")]
    assert before == [message("a"), message("b"), message("c")]
    assert after[1] is before[2]


def test_a_name_and_a_number_of_another_kind_are_changes() -> None:
    copies, held = HeldCopies(), [message("a", metadata={"cost": 1}), message("b")]
    copies.of(held)
    held[0]["metadata"]["cost"], held[1]["tracking_id"] = True, "t-1"
    first, second = copies.of(held)
    assert first["metadata"]["cost"] is True
    assert second["tracking_id"] == "t-1"


def test_what_may_change_unseen_is_copied_each_time() -> None:
    copies, data = HeldCopies(), bytearray(b"1")
    held = [message("a", data=data)]
    (before,) = copies.of(held)
    data[0] = ord("2")
    (after,) = copies.of(held)
    assert [bytes(one["data"]) for one in (before, after)] == [b"1", b"2"]
