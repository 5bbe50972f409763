"""What is about a person, and what became of it."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ... import SubjectPlace, SubjectReport, SubjectStep
from ..terminal import console, count, note, one_line, plain, put

_KINDS = {"session": "", "storage": "stored value ", "archive": "archived ", "tombstone": "tombstone of "}
_WORDS = {
    "erased": "erased",
    "deleted": "deleted",
    "shredded": "unreadable, its key is shredded",
    "reduced": "reduced to hashes",
    "held": "held, stays",
    "left": "stays",
    "due": "would go",
    "unfinished": "something was written meanwhile: run it again",
}
_STYLES = {"held": "yellow", "left": "yellow", "unfinished": "yellow"}


def print_place(terminal: Console, place: SubjectPlace) -> None:
    """Print where something is about them, and how much."""
    scope = "all of it" if place.events is None else count(len(place.events), "event")
    how_much = scope if place.kind in ("session", "archive") else ""
    notes = [how_much, place.where, "held" if place.held else "", *(f"named in {where}" for where in place.named_in)]
    notes += [f"fork {one} is not said to be" for one in place.forks]
    put(terminal, Text.assemble(_title(place), ("  " + one_line(", ".join(filter(None, notes))), "dim")))


def print_step(terminal: Console, step: SubjectStep) -> None:
    """Print what became of one place."""
    told = _WORDS[step.outcome] + (f", {count(step.events, 'event')}" if step.events else "")
    notes = one_line("; ".join(step.notes))
    put(terminal, Text.assemble(_title(step.place), f"  {told}  ", (notes, "dim")), _STYLES.get(step.outcome, ""))


def print_sum(report: SubjectReport, as_json: bool) -> None:
    """Print what it comes to: with JSON on standard error."""
    counts = ((word, report.count(name)) for name, word in _WORDS.items())  # type: ignore[arg-type]
    told = "; ".join(f"{word.partition(':')[0]}: {number:,}" for word, number in counts if number)
    told = told or "nothing is said to be about them"
    if as_json:
        note(told)
    else:
        put(console(), told[:1].upper() + told[1:] + ".", "bold")


def _title(place: SubjectPlace) -> Text:
    return Text.assemble(_KINDS[place.kind], (plain(place.name), "cyan"))
