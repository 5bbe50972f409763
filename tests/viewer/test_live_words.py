"""What is being said, for those who come at any time."""

from __future__ import annotations

from strands_session_log import Delta, EventId
from strands_session_log.codec.delta import Line
from strands_session_log_consumers.viewer.live.words import Words


def piece(text: str, kind: str = "text", agent: str = "a", message: str = "m1", revision: int = 1) -> Delta:
    return Delta(EventId(1, 1), Line(kind, agent, message, 1, 0, "", text), revision)


def spoken(*pieces: Delta) -> Words:
    words = Words()
    for one in pieces:
        words.hear(one)
    return words


def test_who_comes_late_hears_all_of_it_as_one_piece() -> None:
    words = spoken(piece("one "), piece("two"))
    assert list(words.since({})) == [{"agent": "a", "begins": True, "pieces": [("text", "one two")]}]


def test_who_was_there_hears_only_what_is_new() -> None:
    words, heard = spoken(piece("one ")), dict[str, tuple[str, int]]()
    list(words.since(heard))
    words.hear(piece("two"))
    assert list(words.since(heard)) == [{"agent": "a", "begins": False, "pieces": [("text", "two")]}]
    assert list(words.since(heard)) == []


def test_another_message_of_the_agent_begins_anew() -> None:
    words, heard = spoken(piece("one ")), dict[str, tuple[str, int]]()
    list(words.since(heard))
    words.hear(piece("again", message="m2"))
    assert list(words.since(heard)) == [{"agent": "a", "begins": True, "pieces": [("text", "again")]}]


def test_kinds_stay_apart_and_so_do_calls() -> None:
    words = spoken(piece("hm", "reasoning"), piece("search", "tool"), piece("book", "tool"), piece("{", "input"))
    (said,) = words.since({})
    assert said["pieces"] == [("reasoning", "hm"), ("tool", "search"), ("tool", "book"), ("input", "{")]


def test_agents_speak_beside_each_other() -> None:
    words = spoken(piece("one", agent="a"), piece("two", agent="b"))
    assert [said["agent"] for said in words.since({})] == ["a", "b"]


def test_what_will_never_be_a_message_is_over() -> None:
    words, heard = spoken(piece("one ")), dict[str, tuple[str, int]]()
    list(words.since(heard))
    words.hear(piece("", "discarded"))
    assert list(words.since(heard)) == [{"agent": "a", "over": True}]
    assert list(words.since(heard)) == []


def test_words_that_come_after_their_message_are_not_heard() -> None:
    words = spoken(piece("one "))
    words.finish("a", 5)
    words.hear(piece("two", revision=4))
    assert list(words.since({})) == []
    words.hear(piece("next", message="m2", revision=5))
    assert [said["pieces"] for said in words.since({})] == [[("text", "next")]]
