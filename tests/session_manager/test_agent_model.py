"""Whatever is done to a live agent, in any order: its transcript has what was said, and a resumed one what it held."""

from __future__ import annotations

import copy
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from strands import Agent
from strands.agent.conversation_manager import NullConversationManager, SlidingWindowConversationManager
from strands.hooks import MessageAddedEvent

from strands_session_log import SessionLog, ValkeySessionManager
from strands_session_log.lifecycle.compat import hook_event
from strands_session_log.testing.model import ScriptedModel
from support.strands_agents import add, call

continuation = pytest.importorskip("strands.agent._continuation", reason="this version of Strands merges nothing")

GUARDRAIL: Any = [{"redactContent": {"redactUserContentMessage": "[redacted]"}}, {"text": "I must not hear that."}]
MANAGERS: list[Any] = [NullConversationManager, lambda: SlidingWindowConversationManager(window_size=6)]
prompts = st.integers(0, 1)


def contents(messages: Any) -> list[Any]:
    return [message["content"] for message in messages]


class Life(RuleBasedStateMachine):
    """An agent, and beside it what was said, as its hooks told it."""

    log: SessionLog
    is_by_hand = False

    @initialize(hold=st.booleans(), manager=st.sampled_from(MANAGERS))
    def begin(self, hold: bool, manager: Any) -> None:
        self.session_id, self.hold, self.manager = uuid4().hex, hold, manager
        self.prompts: list[Any] = [{"role": "user", "content": [{"text": f"Prompt {number}."}]} for number in range(2)]
        self.replies: list[Any] = []
        self.merged: list[str] = []
        self.said: list[Any] = []
        self.secrets: list[str] = []
        self.numbers = iter(range(10_000))
        self.restart()

    def make(self) -> Agent:
        return Agent(
            model=ScriptedModel(self.reply),
            session_manager=ValkeySessionManager(self.session_id, log=self.log, hold_user_messages=self.hold),
            conversation_manager=self.manager(),
            tools=[add],
            callback_handler=None,
        )

    def reply(self, _: Any) -> Any:
        reply = self.replies.pop(0) if self.replies else f"Answer {next(self.numbers)}."
        if isinstance(reply, Exception):
            raise reply
        return reply

    def text(self, what: str) -> str:
        return f"{what} {next(self.numbers)}."

    def before_model_call(self, event: Any) -> None:
        if self.merged:
            # Strands tells of the message as a whole once more.
            self.said.pop()
            given = [{"role": "user", "content": [{"text": self.merged.pop()}]}]
            continuation.add_input(event, continuation._ContinuationInput(args=given))

    @rule()
    def restart(self) -> None:
        self.agent = self.make()
        self.agent.hooks.add_callback(hook_event("BeforeModelCallEvent"), self.before_model_call)
        self.agent.hooks.add_callback(
            MessageAddedEvent, lambda event: self.said.append(copy.deepcopy(event.message["content"]))
        )

    @rule(merges=st.booleans(), tool=st.booleans())
    def ask(self, merges: bool, tool: bool) -> None:
        self.merged = [self.text("And")] if merges else []
        self.replies = [[call("add", a=1, b=2)]] if tool else []
        self.agent(self.text("Question"))

    @rule(number=prompts, copies=st.booleans(), fails=st.booleans())
    def say_again(self, number: int, copies: bool, fails: bool) -> None:
        prompt = self.prompts[number]
        self.replies = [RuntimeError("down")] if fails else []
        try:
            self.agent([copy.deepcopy(prompt) if copies else prompt])
        except RuntimeError:
            assert fails

    @rule(number=prompts)
    def say_a_secret(self, number: int) -> None:
        self.secrets.append(self.text("Secret"))
        self.prompts[number]["content"] = [{"text": self.secrets[-1]}]
        self.replies = [GUARDRAIL]
        self.agent([self.prompts[number]])

    @rule(number=prompts, grows=st.booleans())
    def change_a_prompt(self, number: int, grows: bool) -> None:
        prompt = self.prompts[number]
        prompt["content"] = [*(prompt["content"] if grows else []), {"text": self.text("Changed")}]

    @rule()
    def call_a_tool_directly(self) -> None:
        self.agent.tool.add(a=next(self.numbers), b=1)

    @rule()
    def append_by_hand(self) -> None:
        content: Any = [{"text": self.text("By hand")}]
        self.is_by_hand = True
        self.said.append(content)
        manager: Any = self.agent._session_manager
        manager.append_message({"role": "user", "content": content}, self.agent)

    @rule()
    def clear(self) -> None:
        self.agent.messages.clear()

    @rule()
    def cut(self) -> None:
        self.agent.messages = self.agent.messages[-2:]

    @precondition(lambda self: self.agent.messages)
    @rule(data=st.data())
    def edit(self, data: Any) -> None:
        message = data.draw(st.sampled_from(self.agent.messages))
        if "text" in message["content"][0]:
            message["content"] = [{"text": self.text("Edited")}]

    def teardown(self) -> None:
        if not hasattr(self, "agent"):
            return
        self.agent(self.text("At last"))
        told = [[{"text": "[redacted]"}] if self.is_secret(content) else content for content in self.said]
        state = self.log.state(self.session_id).agents["default"]
        assert [record.message_id for record in state.messages] == list(range(len(told)))
        assert [record.shown["content"] for record in state.messages] == told
        assert not self.is_secret([event.event.data for event in self.log.read(self.session_id)])
        if not self.is_by_hand and "tool" not in str(self.agent.messages):
            assert contents(self.make().messages) == contents(self.agent.messages)
        assert self.log.verify(self.session_id).ok

    def is_secret(self, content: Any) -> bool:
        return any(secret in str(content) for secret in self.secrets)


def test_every_life_of_an_agent_is_told_as_it_was(session_log: SessionLog) -> None:
    class Machine(Life):
        log = session_log

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
