"""What an agent still holds of a session that was deleted, which must not come back with the one that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from ..codec import to_json

_MANAGER, _REMOVED = "conversation_manager_state", "removed_message_count"
_STATE, _INTERNAL, _INTERRUPTS = "state", "_internal_state", "interrupt_state"


class Withheld:
    """Tells what an agent has had since its session was deleted from what it had then.

    Its messages are told by those that were said since, and no others: a summary of old ones, or an old one that was
    edited, looks like none of before.

    Args:
        content: The agent's record as it was then.
        before: What was withheld of it already, since an earlier deletion.
    """

    def __init__(self, content: Mapping[str, Any] | None, before: Withheld | None = None) -> None:
        self._content: Mapping[str, Any] = content or {}
        if before is not None:
            self._content = _both(before._content, self._content)

    def left_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """An agent's record without the values it had then.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        left = dict(record)
        left[_STATE] = said_since(_mapping(record, _STATE), _mapping(self._content, _STATE))
        left[_INTERNAL] = {
            key: now for key, now in _mapping(record, _INTERNAL).items() if not self._had(_INTERNAL, key, now)
        }
        if self._waited(_mapping(left[_INTERNAL], _INTERRUPTS)):
            del left[_INTERNAL][_INTERRUPTS]
        # Strands insists on its name and its count. What else there is may be what it made of messages; and what it
        # makes of them from now on goes back to those of then, as a summary of a summary does.
        manager = _mapping(record, _MANAGER)
        left[_MANAGER] = {key: None if isinstance(now, (Mapping, list)) else now for key, now in manager.items()}
        if _REMOVED in manager:
            # It counts what the new session never had.
            left[_MANAGER][_REMOVED] = 0
        return left

    def _waited(self, interrupts: Mapping[str, Any]) -> bool:
        """Whether somebody was asked already then: what waits for the answer is of then, too."""
        then = _mapping(_mapping(self._content, _INTERNAL), _INTERRUPTS)
        return bool(_mapping(then, "interrupts").keys() & _mapping(interrupts, "interrupts").keys())

    def _had(self, name: str, key: str, now: Any) -> bool:
        then = _mapping(self._content, name)
        return key in then and to_json(now, name) == then[key]


def said_since(now: Any, then: Any) -> Any:
    """What of a value was not there then: of a mapping by its keys, of a list wherever it stood.

    Args:
        now: The value.
        then: What it was, as JSON values.

    Raises:
        EncodingError: When a value cannot be stored.
    """
    match now:
        case Mapping() if isinstance(then, Mapping):
            left = {key: said_since(one, then[key]) if key in then else one for key, one in now.items()}
            return {key: one for key, one in left.items() if key not in then or not _is_told(now[key], one, then[key])}
        case list() | tuple() if isinstance(then, list):
            prints = [_print(to_json(one)) for one in now]
            known, still = set(map(_print, then)), set(prints)
            # What changed within an item is looked for in its order among those that are not there any more.
            gone = iter([one for one in then if _print(one) not in still])
            news = [one for one, print_ in zip(now, prints, strict=True) if print_ not in known]
            return [said_since(one, next(gone, None)) for one in news]
    return now


def _is_told(now: Any, left: Any, then: Any) -> bool:
    """Whether nothing is left of a value that was there: it is as it was, or holds nothing else."""
    return to_json(now) == then or (isinstance(now, (Mapping, list, tuple)) and bool(now) and not left)


def _print(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _both(earlier: Any, then: Any) -> Any:
    """What was withheld of a value before, and what it was later."""
    match earlier, then:
        case Mapping(), Mapping():
            return {**earlier, **{key: _both(earlier.get(key), one) for key, one in then.items()}}
        case list(), list():
            return [*earlier, *then]
    return then


def first_said_since(prints: Sequence[bytes], said: Iterable[bytes]) -> int:
    """Where, in what an agent holds, that begins which was said since: found from the end, each message once.

    Args:
        prints: Fingerprints of what it holds.
        said: Those of what was said.
    """
    first, left = len(prints), Counter(said)
    for at in range(len(prints) - 1, -1, -1):
        if left[prints[at]]:
            left[prints[at]] -= 1
            first = at
    return first


def _mapping(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, Mapping) else {}
