"""Playing a recorded conversation again: the model and the tools answer as they did, the agent is as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from strands import Agent
from strands.hooks import MessageAddedEvent

from .comparing import LONGEST, Message, compared, spoken
from .model import ScriptedModel
from .recorded_tools import RecordedTools, blocks_of


def play_again(
    make_agent: Callable[[ScriptedModel], Agent], recorded: Sequence[Message], *, run_tools: bool = False
) -> list[str]:
    """Ask an agent what it was asked, have its model answer as it did, and tell in what it now differs.

    What differs is then due to the agent: its tools and what they take, its hooks, how often it asks the model.

    Args:
        make_agent: Makes the agent as it is now, with the model it is given, and with no session manager.
        recorded: The messages, see `recorded_messages`.
        run_tools: Let its tools do what they do, and compare their results; else they answer as they did.

    Returns:
        A line for each difference; nothing where there is none.
    """
    replies = _Replies()
    agent = make_agent(ScriptedModel(replies.next))
    said = list[Message]()
    agent.hooks.add_callback(MessageAddedEvent, lambda event: said.append(event.message))
    tools = RecordedTools(recorded)
    if not run_tools:
        tools.register_hooks(agent.hooks)
    found = list[str]()
    for number, turn in enumerate(turns_of(recorded), 1):
        said.clear()
        tools.differences.clear()
        error = replies.play(agent, turn)
        lines = [
            *tools.differences,
            *compared(turn.answers, _comparable(turn, said)),
            *replies.differences(turn, error),
        ]
        found += [f"turn {number}: {line}" for line in lines]
    return found


class Turn(NamedTuple):
    """What an agent was asked, and all that was said until it was asked again.

    Attributes:
        prompt: The messages it was asked with.
        answers: What the model said, and what tools answered.
    """

    prompt: list[Message]
    answers: list[Message]

    @property
    def is_broken_off(self) -> bool:
        """Whether it ended before the model had its last word."""
        last = self.answers[-1:]
        return not last or any(any(blocks_of(kind, last)) for kind in ("toolUse", "toolResult"))


def turns_of(recorded: Sequence[Message]) -> list[Turn]:
    """A conversation, question by question."""
    turns: list[Turn] = []
    for message in recorded:
        is_prompt = message["role"] == "user" and not any(blocks_of("toolResult", [message]))
        if not turns or (is_prompt and turns[-1].answers):
            turns.append(Turn([], []))
        (turns[-1].prompt if is_prompt else turns[-1].answers).append(message)
    return turns


def _comparable(turn: Turn, said: Sequence[Message]) -> Sequence[Message]:
    """What follows where the recording breaks off was never compared with anything."""
    answers = said[len(turn.prompt) :]
    return answers[: len(turn.answers)] if turn.is_broken_off else answers


class _Replies:
    """What the model says in a turn."""

    def __init__(self) -> None:
        self._left: list[Any] = []
        self._is_over = False

    def play(self, agent: Agent, turn: Turn) -> Exception | None:
        """Ask what it was asked; the error that it ended with."""
        self._left = [deepcopy(spoken(one)) for one in turn.answers if one["role"] == "assistant"]
        self._is_over = False
        prompt: Any = deepcopy(turn.prompt) or None
        try:
            agent(prompt)
        except Exception as error:
            return error
        return None

    def next(self, _: object) -> Any:
        """The next of them.

        Raises:
            LookupError: When the model was asked no further.
        """
        if not self._left:
            self._is_over = True
            raise LookupError("the model was asked no further when this was recorded")
        return self._left.pop(0)

    def differences(self, turn: Turn, error: Exception | None) -> Iterator[str]:
        """What is to be said of how often it was asked, and of how that ended."""
        if self._left:
            yield f"the model is asked less often: {len(self._left)} of its answers are left over"
        if self._is_over and not turn.is_broken_off:
            yield "the model is asked once more than it was"
        if error is not None and not self._is_over:
            cause = getattr(error, "original_exception", error)
            yield f"the agent raises {type(cause).__name__}: {cause}"[:LONGEST]
