"""A log that has seen something: sessions of weeks, with tools, failures, questions to people, and redactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import cycle
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from strands import Agent, tool
from strands.hooks import BeforeToolCallEvent

from .. import events
from ..errors import check_whole
from ..session_log.durations import duration_of
from ..session_manager import ValkeySessionManager
from .clock import Clock
from .model import ScriptedModel

if TYPE_CHECKING:
    from ..session_log import SessionLog

_ORDERS = ("A-1017", "A-1042", "B-2003", "C-3311")
_ASKED = (
    "Where is my order {order}?",
    "My order {order} came broken. What now?",
    "Can I change the address of {order}?",
    "When will {order} be here? I leave on Friday.",
)
_TOLD = (
    "Order {order} has left our warehouse, and should be with you in two days.",
    "I am sorry about that. I have noted it for order {order}.",
    "That is possible until it is packed: order {order} is not packed yet.",
)
_REDACTION = {"redactUserContentMessage": "[redacted]", "redactAssistantContentMessage": "[redacted]"}
_MOST = 100_000


def write_history(
    log: SessionLog, sessions: int = 12, over: timedelta | str = "30d", *, seed: int = 0
) -> dict[str, list[str]]:
    """Write sessions of a help desk as they come together over some time, by real agents with a scripted model.

    Of each kind there are as many: `plain` ones, some with `tools`, with a tool or a model that `failed`, one that is
    `waiting` for a person, and one with a prompt that was `redacted`. The same seed writes the same.

    Args:
        log: Where; without encryption, see `Clock`.
        sessions: How many.
        over: Over how much time until now they are spread, also as text: `30d`. A session lasts for as much as an hour.
        seed: For what is left to chance.

    Returns:
        The ids of the sessions, by kind, the oldest first.

    Raises:
        SessionExistsError: When the log has sessions of the same ids: `desk-000`, `desk-001` and so on.
    """
    check_whole("sessions", sessions, 1, _MOST)
    chance, clock, slot = Random(seed), Clock(log, over), duration_of("over", over) / (sessions + 0.1)
    written: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    with clock.writing() as past:
        for number, kind in zip(range(sessions), cycle(_KINDS)):
            session_id = f"desk-{number:03d}"
            ends = clock.now + slot
            clock.advance(chance.uniform(0.1, 0.5) * slot)
            desk = _Desk(past, session_id, chance, partial(clock.advance, min(slot / 20, _PAUSE)))
            _KINDS[kind](desk)
            past.append(session_id, events.SessionAnnotated({"team": chance.choice(("orders", "returns"))}))
            written[kind].append(session_id)
            # Writing took time, too.
            clock.advance(max(ends - clock.now, timedelta(microseconds=1)))
    return written


_PAUSE = timedelta(minutes=3)


@tool
def order_status(order: str) -> str:
    """Look up where an order is."""
    if order.startswith("C"):
        raise TimeoutError(f"the warehouse did not answer about {order}")
    return f"{order}: packed"


@tool
def pay_back(order: str, eur: int) -> str:
    """Give money back."""
    return f"{eur} EUR for {order}"


class _Desk(NamedTuple):
    """A session, and what is needed to write it.

    Attributes:
        log: Where.
        session_id: Which.
        chance: What is left to it.
        pause: Lets some time pass.
    """

    log: SessionLog
    session_id: str
    chance: Random
    pause: Callable[[], object]

    def agent(self, *script: Any) -> Agent:
        """One that says what it is told to; made anew, it resumes."""
        manager = ValkeySessionManager(self.session_id, log=self.log)
        return Agent(
            model=ScriptedModel(*script),
            tools=[order_status, pay_back],
            session_manager=manager,
            system_prompt="You answer people who have ordered something.",
            callback_handler=None,
        )

    def turns(self, most: int) -> Iterator[tuple[str, str, str]]:
        """Orders, questions about them and answers, with some time between them."""
        for _ in range(self.chance.randint(1, most)):
            order = self.chance.choice(_ORDERS[:3])
            asked, told = self.chance.choice(_ASKED), self.chance.choice(_TOLD)
            yield order, asked.format(order=order), told.format(order=order)
            self.pause()


def _call(name: str, number: int = 1, **arguments: Any) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": f"call-{number}", "name": name, "input": arguments}}


def _plain(desk: _Desk) -> None:
    for _, asked, told in desk.turns(5):
        desk.agent(told)(asked)


def _tools(desk: _Desk) -> None:
    for number, (order, asked, told) in enumerate(desk.turns(4), 1):
        called = [{"text": "Let me look."}, _call("order_status", number, order=order)]
        desk.agent(called, told)(asked)


def _failed(desk: _Desk) -> None:
    """First a tool, which the model makes the best of; then the model itself, which is asked again."""
    called = [_call("order_status", order=_ORDERS[-1])]
    desk.agent(called, "I cannot look that up now; please ask again later.")(f"Where is {_ORDERS[-1]}?")
    desk.pause()
    with suppress(RuntimeError):
        desk.agent([RuntimeError("ThrottlingException: too many requests")])("And now?")
    desk.pause()
    desk.agent("It is on its way.")("Are you there?")


def _waiting(desk: _Desk) -> None:
    order, eur = desk.chance.choice(_ORDERS[:3]), desk.chance.randint(20, 400)
    agent = desk.agent([_call("pay_back", order=order, eur=eur)])

    def ask(event: Any) -> None:
        if event.interrupt("approve-refund", reason={"order": order, "eur": eur}) != "yes":
            event.cancel_tool = "a person said no"

    # Old versions of Strands cannot wait for a person: there, the money is given back at once.
    if hasattr(BeforeToolCallEvent, "interrupt"):
        agent.hooks.add_callback(BeforeToolCallEvent, ask)
    agent(f"My order {order} came broken. I want my money back.")


def _redacted(desk: _Desk) -> None:
    refused = [{"redactContent": _REDACTION}, {"text": "I cannot help with that."}]
    desk.agent(refused)(f"My card is {desk.chance.randint(10**15, 10**16 - 1)}.")
    desk.pause()
    for _, asked, told in desk.turns(2):
        desk.agent(told)(asked)


_KINDS: dict[str, Callable[[_Desk], None]] = {
    "plain": _plain,
    "tools": _tools,
    "failed": _failed,
    "waiting": _waiting,
    "redacted": _redacted,
}
