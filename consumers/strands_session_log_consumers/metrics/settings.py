"""What an exporter is to do."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Start: TypeAlias = Literal["now", "feed", "beginning"]


class Settings(NamedTuple):
    """What an exporter is to do.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 for any that is free.
        group: The consumer group; exporters of the same group share the work.
        consumer: This exporter's name in the group, one of its own; made up if None.
        start: Where a group begins that is new.
        claim_after: Seconds without a sign of life after which others count what an exporter was given.
        max_agents: How many agents keep a label of their own.
        max_tools: How many tools do.
        max_models: How many models do.
        look_every: Seconds between two looks at the groups and the server.
    """

    host: str = "127.0.0.1"
    port: int = 9464
    group: str = "metrics"
    consumer: str | None = None
    start: Start = "now"
    claim_after: float = 30.0
    max_agents: int = 50
    max_tools: int = 100
    max_models: int = 50
    look_every: float = 5.0
