"""A web application that shows the sessions of a log: what was said, when, and whether that is what was written.

`app(log)` is all there is to mount it; `session-log view` serves it.
"""

from typing import TYPE_CHECKING

from strands_session_log.on_demand import on_demand

if TYPE_CHECKING:
    from .application import app
    from .settings import ViewerSettings

__all__ = ["ViewerSettings", "app"]

# The command is looked up without the extra, too.
__getattr__, __dir__ = on_demand(__name__, {"application": "app", "settings": "ViewerSettings"})
