"""Where else it stands what a message said: recognised by what it is, whatever holds it. Pure.

A message is known by its tracking id, and by its content; the result of a tool, what people were asked about its call,
what they answered, and what it says of its failure, by the id of the call. So one finds them in what an agent has in
store while it waits for a person, in an agent that is a tool of another, in windows, in what a graph or swarm keeps of
its nodes, in what people were asked and answered, and in errors, which quote what they like, in part or escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import orjson

from .fold import is_shallow

ERASED = "[erased]"
"""What a message says whose content was erased."""

_LEAST_QUOTE, _LEAST_PART = 4, 16
"""Characters: a text that is shorter stands in many others by chance, or as a part of their words."""
_ASKED = ("reason", "response")
_ERROR = "error_text"
_QUOTING = ("text", "current_task", "handoff_message")
"""Where a graph or swarm keeps what it makes the prompts of its nodes of; and in `shared_context`, all texts."""


class Copies:
    """What was said, and must be nowhere.

    Args:
        originals: The messages that said it, as JSON values.
        redaction: What stands in their place; what it says may stand where it does. None if nothing does.
    """

    def __init__(self, originals: Iterable[Any], redaction: Any = None) -> None:
        self._redaction = _blocks(redaction)
        kept = {_text(block) for block in self._redaction}
        found = [message for message in originals if isinstance(message, Mapping) and is_shallow(message)]
        gone = [block for message in found for block in _blocks(message) if _text(block) not in kept]
        # Also what was redacted before it was written may stand elsewhere already.
        one_message = (*found, redaction) if isinstance(redaction, Mapping) else found
        self.tracking_ids = {id_ for message in one_message if isinstance(id_ := message.get("tracking_id"), str)}
        self._gone = {_text(block) for block in gone}
        self._texts = [text.strip() for block in gone if isinstance(text := block.get("text"), str) and text.strip()]
        self._tools = {id_ for block in (*gone, *self._redaction) if (id_ := _answered(block)) is not None}
        self._calls = self._tools | {id_ for block in gone if (id_ := _called(block)) is not None}
        self._leaves = [text for block in gone for text in _leaves(_said_in(block))]
        # Of a picture, say, the JSON may be spelt in more than one way; an id may be so in the id of an interrupt.
        is_plain = all("text" in block or _answered(block) is not None for block in gone)
        self._has_words_only = is_plain and all(quote(id_, safe="") == id_ for id_ in self._tools)
        self._said = next((str(text) for text in _texts(self._redaction)), ERASED)
        self._clean = {_text(self._stand_in)} | {_text(block["toolResult"].get("content")) for block in self._results}

    def __bool__(self) -> bool:
        return bool(self._gone or self._tools or self.tracking_ids)

    @property
    def needles(self) -> list[bytes] | None:
        """Texts one of which stands in the JSON of whatever holds it; None where there is no telling.

        For the state of a graph or swarm above it there never is: it may hold only a part.
        """
        texts = [*self.tracking_ids, *self._tools, *self._texts]
        needles = [orjson.dumps(text)[1:-1] for text in texts]
        return [*needles, b'"%b":' % _ERROR.encode()] if self._has_words_only else None

    @property
    def _stand_in(self) -> list[Any]:
        return [{"text": self._said}]

    @property
    def _results(self) -> list[Any]:
        return [block for block in self._redaction if _answered(block) is not None]

    def is_said_in(self, message: Any, is_it: bool = False) -> bool:
        """Whether a message of a transcript is one of them: not one that only says the same in its own right.

        Args:
            message: The message, as JSON values.
            is_it: Whether it stands where one of them does.
        """
        if not isinstance(message, Mapping) or not is_shallow(message):
            return False
        is_it = is_it or message.get("tracking_id") in self.tracking_ids
        same = (block for block in _blocks(message) if _text(block) in self._gone)
        return any(is_it or _answered(block) is not None for block in same)

    def is_held_in(self, data: Any, by_id: bool = False, own: bool = False, above: bool = False) -> bool:
        """Whether anything else, JSON values, holds what was said: see `without`."""
        return self.without(data, by_id, own, above) is not data

    def without(self, data: Any, by_id: bool = False, own: bool = False, above: bool = False) -> Any:
        """The same, with the stand-in where it holds what was said; it itself, if that is nowhere.

        Args:
            data: JSON values.
            by_id: Go by the tracking id of a message also where it says something else by now.
            own: It is of the agent that said it: ids of calls are of the same calls. They need not be in other agents'.
            above: It is the state of a graph or swarm, and what was said the prompt of a node of it: what that was made
                of is the same.
        """
        if not is_shallow(data):
            return data
        return _Walk(self, by_id, own or above, above).value(data)

    def clean(self, message: Mapping[str, Any]) -> Any:
        """A copy of a message without what it says."""
        if self._redaction:
            return {**message, "content": self._redaction}
        results = [self._result(block) for block in _blocks(message) if _answered(block) is not None]
        return {**message, "content": results or self._stand_in}

    def _result(self, block: Mapping[str, Any]) -> Any:
        return {"toolResult": {**block["toolResult"], "content": self._stand_in}}

    def is_copy(self, message: Mapping[str, Any], by_id: bool) -> bool:
        """Whether a message outside a transcript is one of them."""
        content = _text(message.get("content"))
        if content in self._clean or content == _text(self._redaction):
            return False
        id_ = message.get("tracking_id")
        is_it = id_ in self.tracking_ids
        if is_it and by_id:
            return True
        if id_ is not None and self.tracking_ids and not is_it:
            return False
        return any(_text(block) in self._gone or self._has_text(block) for block in _blocks(message))

    def _has_text(self, block: Mapping[str, Any]) -> bool:
        text = block.get("text")
        return isinstance(text, str) and self.is_quoted_in(text)

    def is_quoted_in(self, text: str) -> bool:
        """Whether a text quotes what was said."""
        return any(_quotes(text, said) for said in self._texts)

    def quotes(self, text: str) -> bool:
        """Whether what was said quotes a text, or is quoted in it."""
        text = text.strip()
        return any(_quotes(said, text) for said in self._texts) or self.is_quoted_in(text)

    def is_quoted_by(self, error_text: str) -> bool:
        """Whether what an error says quotes what was said, or as much of it as stands nowhere by chance."""
        if any(_quotes(error_text, said) for said in self._leaves):
            return True
        parts = {error_text[at : at + _LEAST_PART] for at in range(len(error_text) - _LEAST_PART + 1)}
        return any(part in said for said in self._leaves for part in parts)

    def is_result(self, found: Mapping[str, Any], own: bool) -> bool:
        """Whether it is what a tool gave back, and is to be gone."""
        content = found.get("content")
        if not isinstance(content, list) or _text(content) in self._clean or not self.is_tool(found.get("toolUseId")):
            return False
        return own or not self._gone or _text({"toolResult": found}) in self._gone

    def is_tool(self, name: object) -> bool:
        """Whether it is the id of a call whose result is to be gone."""
        return isinstance(name, str) and name in self._tools

    def concerns(self, interrupt: object) -> bool:
        """Whether an interrupt, by its id or that of its call, was raised in the call of a tool."""
        if not isinstance(interrupt, str):
            return False
        ids = (form for id_ in self._calls for form in (id_, quote(id_, safe="")))
        return any(f":{id_}:" in f":{interrupt}:" for id_ in ids)

    @property
    def said(self) -> str:
        """What stands in its place, as a text."""
        return self._said

    @property
    def stand_in(self) -> list[Any]:
        """What stands in its place, as the content of a message."""
        return self._stand_in


class _Walk:
    """Goes through JSON values; what does not change stays the same object.

    In the state of an agent, which is its users' own, an id beside a reason or a response is no interrupt.
    """

    def __init__(self, copies: Copies, by_id: bool, own: bool, above: bool, users: bool = False) -> None:
        self._copies, self._by_id, self._own, self._above, self._users = copies, by_id, own, above, users

    def value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value)
        return _same_or(value, [self.value(one) for one in value]) if isinstance(value, list) else value

    def _mapping(self, found: Mapping[str, Any]) -> Any:
        if isinstance(found.get("content"), list) and isinstance(found.get("role"), str):
            if self._copies.is_copy(found, self._by_id):
                return self._copies.clean(found)
        elif self._copies.is_result(found, self._own):
            return {**found, "content": self._copies.stand_in}
        if self._is_failure(found):
            return {**found, _ERROR: ""}
        if self._is_failed_node(found):
            return {**found, "message": ""}
        if self._is_asked(found):
            return _same_or(found, {name: None if name in _ASKED else value for name, value in found.items()})
        inner = {name: self._member(name, value) for name, value in found.items() if not self._is_turn(name, value)}
        return _same_or(found, self._unasked(inner) if self._is_interrupted_call(found) else inner)

    def _is_turn(self, name: str, value: Any) -> bool:
        """Whether it is the conversation of an agent that was called as a tool, which waits for a person."""
        is_snapshot = isinstance(value, Mapping) and isinstance(value.get("data"), Mapping)
        return is_snapshot and self._own and self._copies.is_tool(name)

    def _member(self, name: str, value: Any) -> Any:
        if self._above and name in _QUOTING and isinstance(value, str):
            return self._copies.said if self._copies.quotes(value) and value != self._copies.said else value
        if self._above and name == "shared_context":
            return self._each(value, lambda text: self._copies.said if self._copies.quotes(text) else text)
        if name == "state" and not self._users:
            return _Walk(self._copies, self._by_id, self._own, self._above, users=True).value(value)
        return self.value(value)

    def _is_failure(self, found: Mapping[str, Any]) -> bool:
        """Whether it is what was told of an error that quotes what is to be gone, or of a call whose result is."""
        text = found.get(_ERROR)
        if self._users or not isinstance(text, str) or not text:
            return False
        is_of_call = self._own and self._copies.is_tool(found.get("tool_use_id"))
        return is_of_call or self._copies.is_quoted_by(text)

    def _is_failed_node(self, found: Mapping[str, Any]) -> bool:
        """Whether it is what a graph or swarm keeps of a node's error, and that quotes what is to be gone."""
        text = found.get("message")
        if not self._above or self._users or found.get("type") != "exception" or not isinstance(text, str):
            return False
        return self._copies.is_quoted_by(text)

    def _is_asked(self, found: Mapping[str, Any]) -> bool:
        """Whether it is what a person was asked, or has answered, and is to be gone."""
        if self._users or not any(name in found for name in _ASKED):
            return False
        calls = found.get("tool_use_ids")
        if any(map(self._copies.concerns, (found.get("id"), found.get("interruptId"), *_listed(calls)))):
            return True
        asked = (
            [found.get(name) for name in _ASKED] if isinstance(found.get("id", found.get("interruptId")), str) else []
        )
        return any(self._each(one, self._blank) is not one for one in asked)

    def _blank(self, text: str) -> str:
        return "" if self._copies.is_quoted_in(text) else text

    def _is_interrupted_call(self, found: Mapping[str, Any]) -> bool:
        """Whether it is what an agent keeps of calls of tools while it waits for a person, and they are among them."""
        context, pending = found.get("context"), found.get("pending_tool_execution")
        if not isinstance(found.get("interrupts"), Mapping) or not isinstance(context, Mapping):
            return False
        of_old = context.get("tool_use_message")
        message = pending.get("assistant_message") if isinstance(pending, Mapping) else of_old
        calls = (block.get("toolUse") for block in _blocks(message))
        return any(isinstance(call, Mapping) and self._copies.is_tool(call.get("toolUseId")) for call in calls)

    def _unasked(self, kept: dict[str, Any]) -> dict[str, Any]:
        """Without what was asked and answered: all calls of a message are answered in one."""
        asked = {
            id_: _same_or(one, {**one, **dict.fromkeys(_ASKED)}) if isinstance(one, Mapping) else one
            for id_, one in kept["interrupts"].items()
        }
        context = {name: [] if name == "responses" else value for name, value in kept["context"].items()}
        unasked = {"interrupts": _same_or(kept["interrupts"], asked), "context": _same_or(kept["context"], context)}
        return {**kept, **unasked}

    def _each(self, value: Any, change: Callable[[str], str]) -> Any:
        """With each text in it changed."""
        if isinstance(value, str):
            changed = change(value)
            return value if changed == value else changed
        if isinstance(value, Mapping):
            return _same_or(value, {name: self._each(one, change) for name, one in value.items()})
        return _same_or(value, [self._each(one, change) for one in value]) if isinstance(value, list) else value


def _quotes(text: str, said: str) -> bool:
    """Whether a text holds what was said; a short one not as part of a word."""
    if len(said) < _LEAST_QUOTE or said not in text:
        return False
    return len(said) >= _LEAST_PART or re.search(rf"(?<!\w){re.escape(said)}(?!\w)", text) is not None


def _same_or(value: Any, made: Any) -> Any:
    """The value itself, if what was made of it holds the very same."""
    if isinstance(made, dict):
        is_same = made.keys() == value.keys() and all(
            made[name] is one or made[name] == one for name, one in value.items()
        )
    else:
        is_same = all(one is other for one, other in zip(made, value, strict=True))
    return value if is_same else made


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _blocks(message: Any) -> list[Mapping[str, Any]]:
    content = message.get("content") if isinstance(message, Mapping) else None
    return [block for block in content if isinstance(block, Mapping)] if isinstance(content, list) else []


def _texts(content: Iterable[Mapping[str, Any]]) -> Iterator[Any]:
    """The texts of blocks, also of what tools gave back."""
    for block in content:
        if isinstance(block.get("text"), str):
            yield block["text"]
        elif isinstance(result := block.get("toolResult"), Mapping):
            yield from _texts(_blocks(result))


def _said_in(block: Mapping[str, Any]) -> Any:
    """What a block says: of a call what the tool is given, of its result what it gave back, without their names."""
    for kind, what in (("toolUse", "input"), ("toolResult", "content")):
        if isinstance(found := block.get(kind), Mapping):
            return found.get(what)
    return block


def _leaves(value: Any) -> Iterator[str]:
    """The texts in JSON values, wherever they stand."""
    if isinstance(value, str):
        yield value.strip()
    for one in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        yield from _leaves(one)


def _called(block: Mapping[str, Any]) -> str | None:
    """The id of the call that a block is; None if it is none."""
    call = block.get("toolUse")
    id_ = call.get("toolUseId") if isinstance(call, Mapping) else None
    return id_ if isinstance(id_, str) else None


def _answered(block: Mapping[str, Any]) -> str | None:
    """The id of the call of which a block is the result; None if it is none."""
    result = block.get("toolResult")
    id_ = result.get("toolUseId") if isinstance(result, Mapping) else None
    return id_ if isinstance(id_, str) else None


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
