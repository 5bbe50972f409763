"""What an agent still holds of a session that was deleted, which must not come back with the one that follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..codec import to_json

_MANAGER, _REMOVED = "conversation_manager_state", "removed_message_count"


class Withheld:
    """Tells what an agent has had since its session was deleted from what it had then.

    Its messages are told by those that were said since, and no others: a summary of old ones, or an old one that was
    edited, looks like none of before.

    Args:
        content: The agent's record as it was then.
        before: What was withheld of it already, since an earlier deletion.
    """

    def __init__(self, content: Mapping[str, Any] | None, before: Withheld | None = None) -> None:
        self._content = content or {}
        if before is not None:
            names = before._content.keys() | self._content.keys()
            pairs = {name: (_mapping(before._content, name), _mapping(self._content, name)) for name in names}
            self._content = {name: {**earlier, **then} for name, (earlier, then) in pairs.items()}

    def left_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """An agent's record without the values it had then.

        Raises:
            EncodingError: When a value in it cannot be stored.
        """
        left = dict(record)
        for name in ("state", "_internal_state"):
            left[name] = {key: now for key, now in _mapping(record, name).items() if not self._had(name, key, now)}
        # Strands insists on its name and its count; what else there is may be what it made of messages.
        manager = _mapping(record, _MANAGER)
        left[_MANAGER] = {
            key: None if isinstance(now, (Mapping, list)) and self._had(_MANAGER, key, now) else now
            for key, now in manager.items()
        }
        if _REMOVED in manager:
            # It counts what the new session never had.
            left[_MANAGER][_REMOVED] = 0
        return left

    def _had(self, name: str, key: str, now: Any) -> bool:
        then = _mapping(self._content, name)
        return key in then and to_json(now, name) == then[key]


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
