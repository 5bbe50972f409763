"""Messages of text alone: most are, and of these nothing has to be copied."""

from __future__ import annotations

from typing import Any

from ..events.event import ROLES

_MEMBERS_OF_PLAIN_TEXT = 2
"""`role`, `content`."""


def text_alone(message: Any) -> tuple[str, str] | None:
    """Who speaks, and what, of a message that is one block of text as Strands writes it; None of any other."""
    if type(message) is not dict or len(message) != _MEMBERS_OF_PLAIN_TEXT:
        return None
    # Each is looked at once: another thread may change the message meanwhile.
    (role_name, role), (content_name, content) = message.items()
    block = content[0] if type(content) is list and len(content) == 1 else None
    if type(block) is not dict or len(block) != 1 or type(role) is not str or role not in ROLES:
        return None
    ((text_name, text),) = block.items()
    if (role_name, content_name, text_name) != ("role", "content", "text") or type(text) is not str:
        return None
    return role, text
