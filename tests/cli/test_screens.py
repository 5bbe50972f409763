"""The screens on the page about the command line are what the commands print."""

from __future__ import annotations

from support.screens import PAGE, anew, conversations, steady


def test_the_screens_on_the_page_are_what_the_commands_print() -> None:
    page = PAGE.read_text()
    with conversations() as environment:
        assert steady(page) == steady(anew(page, environment)), "write them anew: make screens"
