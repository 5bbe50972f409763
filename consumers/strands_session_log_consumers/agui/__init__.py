"""Runs of agents that outlive their connection, for front ends that speak AG-UI.

`app(log, make_agent)` is a web application of its own; `mount(other, "/agent", log, make_agent)` puts it into another.
"""

from typing import TYPE_CHECKING

from strands_session_log.on_demand import on_demand

if TYPE_CHECKING:
    from .application import app, mount
    from .running import AguiRun
    from .settings import AguiSettings

__all__ = ["AguiRun", "AguiSettings", "app", "mount"]

__getattr__, __dir__ = on_demand(
    __name__, {"application": "app mount", "running": "AguiRun", "settings": "AguiSettings"}
)
