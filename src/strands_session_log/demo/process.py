"""A process that runs the agent of the demo: the first one until it is killed, the second one to the end.

Both run the same program. It tells its parent where it is, one word and one number a line, on standard output.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ..session_log import SessionLog
from ..session_manager import ValkeySessionManager
from .child import URL_VARIABLE
from .conversation import FOLLOW_UP, QUESTION, make_agent

PAUSE, GO_ON = "pause", "go-on"


def main(arguments: Sequence[str]) -> None:
    """Run as `python -m strands_session_log.demo NAMESPACE SESSION pause|go-on`, with the URL in the environment."""
    namespace, session_id, what = arguments
    log = SessionLog.connect(os.environ[URL_VARIABLE], namespace)
    agent = make_agent(
        ValkeySessionManager(session_id, log=log), before_advice=_wait_for_the_end if what == PAUSE else lambda: None
    )
    tell("restored", len(agent.messages))
    # An agent with messages was interrupted: called without a prompt, it goes on with what they end with.
    agent(None if agent.messages else QUESTION)
    agent(FOLLOW_UP)
    tell("done", len(agent.messages))


def tell(word: str, number: int) -> None:
    """Say where this process is."""
    sys.stdout.write(f"{word} {number}\n")
    sys.stdout.flush()


def _wait_for_the_end() -> None:
    """Hold still to be killed; if the parent dies instead, its end of the pipe closes, and nobody is left behind."""
    tell("waiting", os.getpid())
    sys.stdin.read()
    os._exit(1)
