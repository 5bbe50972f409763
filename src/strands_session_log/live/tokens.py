"""LiveTokens: what agents say while they say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from strands.hooks import AgentInitializedEvent, HookProvider, HookRegistry

from ..errors import NotCopied, check_log, check_seconds, refuse_unknown
from ..lifecycle.compat import Heard, listen
from ..lifecycle.records import check_ids
from ..session_log import SessionLog
from .delta_parser import DeltaParser
from .publisher import LiveStats, Publisher

_INTERVAL, _LONGEST_INTERVAL = 0.05, 60.0


class LiveTokens(HookProvider, NotCopied):
    """Publishes what agents say, word by word: `Agent(session_manager=…, hooks=[LiveTokens(log, "s-42")])`.

    Text, reasoning and the input of tools go to the session's `live` stream, in batches, beside whatever the agent's
    callback handler does; read them with `SessionLog.live`. They are no part of the log: they are gone after two
    minutes, and with the session, and whatever is erased in it. What a guardrail objects to is taken back at once.

    It fails open: it neither raises nor waits for the network, and what the server did not take is dropped and counted.
    What will not be a message, as the call was cancelled or failed, is discarded when it ends; after a kill, when the
    agent is called again. An agent whose callback handler is replaced later, or for one call, is not heard meanwhile; a
    `BidiAgent` has none, and is not heard.

    Args:
        log: The log that has the session; something else records it.
        session_id: The session.
        interval: Seconds between batches.
        agent_id: Under which name the log has the agent, if not under its own: a node of a graph or swarm is
            `<graph>:<node>`.

    Raises:
        ValueError: When the session id cannot be one, or the interval (`InvalidSettingError`).
        UnknownArgumentError: When there is no argument of this name.
    """

    _INSTEAD = "give the same one to other agents, and make another in another process"

    @refuse_unknown
    def __init__(
        self, log: SessionLog, session_id: str, *, interval: float = _INTERVAL, agent_id: str | None = None
    ) -> None:
        check_log(log)
        check_ids(session_id)
        check_seconds("interval", interval, 0.0, _LONGEST_INTERVAL)
        self._agent_id = agent_id
        self._publisher = Publisher(log._events, session_id, interval)
        self._voices: dict[str, DeltaParser] = {}

    @property
    def stats(self) -> LiveStats:
        """What became of what was heard."""
        return self._publisher.stats

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until what was heard is published, or dropped.

        Args:
            timeout: For how many seconds at most.
        """
        return self._publisher.flush(timeout)

    def register_hooks(self, registry: HookRegistry, **kwargs: Any) -> None:
        """Listen to one agent."""
        initialized: Any = self._initialized
        registry.add_callback(AgentInitializedEvent, initialized)
        listen(
            registry,
            Heard("BeforeInvocationEvent", self._invocation_begins),
            Heard("AfterModelCallEvent", self._model_ended),
            Heard("MessageAddedEvent", self._message_added),
            Heard("AfterInvocationEvent", self._invocation_ended),
        )

    def _initialized(self, hook: Any) -> None:
        handler = getattr(hook.agent, "callback_handler", None)
        if handler is not None:
            hook.agent.callback_handler = TappedHandler(handler, self._hearing(hook.agent))

    def _hearing(self, agent: Any) -> Callable[[Any], None]:
        def hear(chunk: Any) -> None:
            try:
                self._voice(agent).hear(chunk)
            except Exception as error:
                self._publisher.fail(error)

        return hear

    def _model_ended(self, hook: Any) -> None:
        if getattr(hook, "exception", None) is not None or getattr(hook, "retry", False):
            self._voice(hook.agent).discard()

    def _invocation_begins(self, hook: Any) -> None:
        """What an earlier one left open will not be a message: it was killed, or its stream was never closed."""
        self._publisher.discard_left_open(self._name(hook.agent))
        self._voice(hook.agent).discard()

    def _message_added(self, hook: Any) -> None:
        if hook.message.get("role") == "assistant":
            self._voice(hook.agent).settle()

    def _invocation_ended(self, hook: Any) -> None:
        """However it ended, cancelled too."""
        self._voice(hook.agent).discard()

    def _name(self, agent: Any) -> str:
        return self._agent_id or str(agent.agent_id)

    def _voice(self, agent: Any) -> DeltaParser:
        name = self._name(agent)
        return self._voices.setdefault(name, DeltaParser(name, self._publisher.publish, self._publisher.forget))


class TappedHandler:
    """A callback handler, and somebody who listens in; everything else about it is as it was.

    Args:
        handler: The agent's own.
        hear: Takes the chunks of the model's stream; never raises.
    """

    def __init__(self, handler: Callable[..., Any], hear: Callable[[Any], None]) -> None:
        self._handler, self._hear = handler, hear

    def __call__(self, **event: Any) -> Any:
        """Pass on what Strands tells the handler."""
        if "event" in event:
            self._hear(event["event"])
        return self._handler(**event)

    def __getattr__(self, name: str) -> Any:
        # A copy that is being made has no handler yet.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._handler, name)
