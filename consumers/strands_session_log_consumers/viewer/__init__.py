"""A web application that shows the sessions of a log: what was said, when, and whether that is what was written.

`app(log)` is all there is to mount it; `session-log view` serves it.
"""

from .app import app
from .settings import ViewerSettings

__all__ = ["ViewerSettings", "app"]
