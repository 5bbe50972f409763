"""Which events somebody wants to hear of."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def selector(types: str | Sequence[str] | None, agent: str | None = None) -> Callable[[str, str], bool]:
    """Whether an event of a type and an agent is wanted.

    Args:
        types: Only these types; `message.*` means all that begin with `message.`. None for all.
        agent: Only this agent. None for all.

    Returns:
        Takes a type and an agent.
    """
    names = [types] if isinstance(types, str) else types or ()
    exact = {name for name in names if not name.endswith(".*")}
    prefixes = tuple(name[:-1] for name in names if name.endswith(".*"))

    def wanted(type_: str, of_agent: str) -> bool:
        right_type = types is None or type_ in exact or type_.startswith(prefixes)
        return right_type and (agent is None or of_agent == agent)

    return wanted
