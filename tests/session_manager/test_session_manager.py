"""Real Strands agents whose conversations live in the log."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from strands import Agent, tool
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.session.repository_session_manager import RepositorySessionManager
from strands.types.exceptions import SessionException
from strands.types.session import SessionMessage

from strands_session_log import SessionLog, SessionRecorder, ValkeySessionManager, errors, events
from strands_session_log.testing.model import ScriptedModel
from support.old_manager import OldSessionManager
from support.servers import Server

CALL = {"toolUse": {"name": "look_up", "input": {"key": "x"}}}


def make_agent(log: SessionLog, script: Any = ("Hello.",), session: str = "s", **options: Any) -> Agent:
    manager = ValkeySessionManager(session_id=session, log=log)
    return Agent(model=ScriptedModel(script), session_manager=manager, callback_handler=None, **options)


def tool_returning(value: Any) -> Any:
    @tool
    def look_up(key: str) -> dict[str, Any]:
        """Look something up."""
        return {"status": "success", "content": [{"json": {"value": value}}]}

    return look_up


def types(log: SessionLog, session: str = "s") -> list[str]:
    return [one.event.type for one in log.read(session)]


def test_the_example_of_the_manager_it_replaces_works_with_only_the_import_changed(
    tcp_server: Server,
) -> None:
    client = tcp_server.client(decode_responses=True)
    session_manager = ValkeySessionManager(session_id="drop-in-example", client=client)
    agent = Agent(session_manager=session_manager, model=ScriptedModel(["Valkey is fast."]), callback_handler=None)
    agent("Hello! Tell me about Valkey.")
    resumed = ValkeySessionManager(session_id="drop-in-example", client=client)
    assert [message.message["role"] for message in resumed.list_messages("drop-in-example", "default")] == [
        "user",
        "assistant",
    ]
    resumed.delete_session("drop-in-example")


@pytest.mark.skipif(not hasattr(RepositorySessionManager, "_fix_broken_tool_use"), reason="Strands mends none")
@pytest.mark.parametrize("windowed", [False, True])
def test_a_tool_call_that_nobody_answered_is_answered_when_the_agent_resumes(
    session_log: SessionLog, windowed: bool
) -> None:
    call = {"toolUse": {"toolUseId": "1", "name": "look_up", "input": {}}}
    contents: list[Any] = [[{"text": "What is x?"}], [call], [{"text": "Well?"}], [{"text": "I do not know."}]]
    agent, manager = make_agent(session_log), ValkeySessionManager("s", log=session_log)
    for index, content in enumerate(contents):
        said: Any = {"role": ("user", "assistant")[index % 2], "content": content}
        manager.create_message("s", agent.agent_id, SessionMessage(said, index))
    if windowed:
        window = {"items": [[1, 3]], "removed": 0, "next": 4}
        session_log.append("s", events.WindowChanged(window, agent.agent_id))
    resumed = make_agent(session_log)
    answers = [block for message in resumed.messages for block in message["content"] if "toolResult" in block]
    assert [answer["toolResult"]["toolUseId"] for answer in answers] == ["1"]


def test_an_agent_resumes_with_the_messages_and_state_of_the_one_before(session_log: SessionLog) -> None:
    first = make_agent(session_log, [[{"text": "Let me look."}, CALL], "It is 7."], tools=[tool_returning(7)])
    first.state.set("mood", {"level": 3})
    first("What is x?")
    second = make_agent(session_log, ["Anything else?"], tools=[tool_returning(7)])
    assert second.messages == first.messages
    assert second.state.get() == {"mood": {"level": 3}}
    second("Thanks.")
    assert len(make_agent(session_log).messages) == 6


def test_a_message_and_the_state_that_changed_with_it_travel_in_one_append(
    session_log: SessionLog, appended: list[list[str]]
) -> None:
    @tool
    def count_up() -> str:
        """Count."""
        agent.state.set("count", 1)
        return "counted"

    agent = make_agent(session_log, [[{"toolUse": {"name": "count_up", "input": {}}}], "Done."], tools=[count_up])
    agent("Count!")
    assert any({"message.added", "agent.updated"} <= set(batch) for batch in appended)


def test_a_plain_turn_is_two_appends_with_all_its_facts(session_log: SessionLog, appended: list[list[str]]) -> None:
    agent = make_agent(session_log, ["Hi."])
    appended.clear()
    agent("Hello")
    assert appended == [
        ["invocation.started", "message.added"],
        ["message.added", "invocation.completed"],
    ]


def test_creating_an_agent_with_messages_is_one_append(session_log: SessionLog, appended: list[list[str]]) -> None:
    history: Any = [{"role": "user", "content": [{"text": "a"}]}, {"role": "assistant", "content": [{"text": "b"}]}]
    make_agent(session_log, messages=history)
    assert appended == [["session.created"], ["agent.created", "message.added", "message.added"]]


def test_several_agents_share_a_session_without_disturbing_each_other(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    one = Agent(model=ScriptedModel(["1"]), agent_id="one", session_manager=manager, callback_handler=None)
    two = Agent(model=ScriptedModel(["2"]), agent_id="two", session_manager=manager, callback_handler=None)
    one("first")
    two("second")
    one("third")
    state = session_log.state("s")
    assert [len(state.agents[name].messages) for name in ("one", "two")] == [4, 2]
    with pytest.raises(SessionException, match="must be unique"):
        Agent(model=ScriptedModel([]), agent_id="one", session_manager=manager)


def test_the_second_of_two_writers_of_one_agent_is_refused_and_overwrites_nothing(session_log: SessionLog) -> None:
    first, second = make_agent(session_log, ["1", "3"]), make_agent(session_log, ["2"])
    second("I was here.")
    with pytest.raises(Exception) as refusal:
        first("And I too.")
    assert isinstance(root(refusal.value), errors.ConcurrentWriteError)
    assert isinstance(root(refusal.value), SessionException)
    texts = [message["content"][0]["text"] for message in session_log.state("s").agents["default"].window]
    assert texts == ["I was here.", "2"]


def test_repository_calls_beside_a_live_agent_do_not_make_it_refuse_itself(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    agent("First")
    manager: Any = agent._session_manager
    record = manager.read_agent("s", "default")
    record.state = {"set": "by hand"}
    manager.update_agent("s", record)
    manager.create_message("s", "default", SessionMessage({"role": "user", "content": [{"text": "note"}]}, 2))
    agent("Second")
    assert [m.message_id for m in manager.list_messages("s", "default")] == [0, 1, 2, 3, 4]
    assert manager.read_agent("s", "default").state == {}


def root(error: BaseException) -> BaseException:
    """Strands wraps what a hook raises in an exception of its own."""
    while not isinstance(error, SessionException) and error.__cause__ is not None:
        error = error.__cause__
    return error


def test_a_message_that_could_not_be_written_is_made_up_for_by_the_next_one(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = make_agent(session_log, ["One.", "Two."])
    append = session_log._events.append

    def away(*_: Any, **__: Any) -> Any:
        raise errors.UnknownOutcomeError("s", "no answer")

    monkeypatch.setattr(session_log._events, "append", away)
    with pytest.raises(Exception, match="unknown"):
        agent("First")
    monkeypatch.setattr(session_log._events, "append", append)
    agent("Second")
    assert make_agent(session_log).messages == agent.messages


def test_a_redacted_message_keeps_nothing_of_the_original(session_log: SessionLog) -> None:
    agent = make_agent(session_log, ["Fine."])
    agent("my secret")
    manager: Any = agent._session_manager
    replacement: Any = {"role": "assistant", "content": [{"text": "[redacted]"}]}
    manager.redact_latest_message(replacement, agent)
    stored = manager.list_messages("s", "default")[-1]
    assert stored.message == stored.redact_message == replacement
    assert {"message.redacted", "payload.erased"} <= set(types(session_log))
    assert "Fine." not in str(list(session_log.read("s", types="message.*")))


def test_the_window_of_a_resumed_agent_is_the_trimmed_one_and_the_transcript_is_whole(session_log: SessionLog) -> None:
    script = [f"Answer {number}." for number in range(6)]
    agent = make_agent(session_log, script, conversation_manager=SlidingWindowConversationManager(window_size=4))
    for number in range(6):
        agent(f"Question {number}?")
    resumed = make_agent(session_log, conversation_manager=SlidingWindowConversationManager(window_size=4))
    assert resumed.messages == agent.messages
    assert len(session_log.state("s").agents["default"].messages) == 12
    assert session_log.state("s").agents["default"].window == agent.messages


@pytest.mark.parametrize(
    "value",
    [
        b"\x00\xff",
        Decimal("19.99"),
        datetime(2026, 1, 2, tzinfo=timezone.utc),
        float("inf"),
        2**80,
        "lone \ud800 surrogate",
        {"__bytes_encoded__": True, "data": "not bytes"},
        {"__encoded__": "decimal", "data": "1"},
        {"nested": [{"deep": [b"x", bytearray(b"y")]}]},
        "x" * 10_000_000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_tool_result_of_any_supported_type_is_there_when_the_agent_resumes(
    session_log: SessionLog, value: Any
) -> None:
    agent = make_agent(session_log, [[CALL], "Done."], tools=[tool_returning(value)])
    agent("Look it up.")
    resumed = make_agent(session_log)
    assert resumed.messages == agent.messages
    assert resumed.messages[2]["content"][0]["toolResult"]["content"][0]["json"]["value"] == value


def test_tuples_come_back_as_the_lists_file_storage_makes_of_them(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[CALL], "Done."], tools=[tool_returning((1, (b"two", 3)))])
    agent("Look it up.")
    stored = make_agent(session_log).messages[2]["content"][0]["toolResult"]["content"][0]["json"]
    assert stored == {"value": [1, [b"two", 3]]}


def test_a_value_that_cannot_be_stored_is_refused_by_name_and_the_session_still_resumes(
    session_log: SessionLog,
) -> None:
    agent = make_agent(session_log, [[CALL], "Done."], tools=[tool_returning(object())])
    with pytest.raises(Exception, match=r"message\.content\[0\]\.toolResult\.content\[0\]\.json\.value"):
        agent("Look it up.")
    assert types(session_log).count("message.added") == 2
    resumed = make_agent(session_log, ["Where were we?"])
    resumed("Go on.")
    assert session_log.verify("s").ok


def test_an_agent_goes_on_once_the_value_that_cannot_be_stored_is_taken_out(session_log: SessionLog) -> None:
    agent = make_agent(session_log, [[CALL], "Done."], tools=[tool_returning(object())])
    with pytest.raises(Exception, match="cannot be stored"):
        agent("Look it up.")
    del agent.messages[1:]
    agent("Never mind.")
    assert [message["role"] for message in make_agent(session_log).messages[-2:]] == ["user", "assistant"]


def test_an_id_with_a_path_separator_is_refused_as_strands_refuses_it(session_log: SessionLog) -> None:
    with pytest.raises(ValueError, match=r"session_id=a/b \| id cannot contain path separators"):
        ValkeySessionManager("a/b", log=session_log)
    with pytest.raises(ValueError, match="agent_id=x/y"):
        make_agent(session_log, agent_id="x/y")


@pytest.mark.parametrize("session", ["a:b", "{tag}", "*", "日本語", "x" * 256, "a b"])
def test_any_other_text_is_a_session_id(session_log: SessionLog, session: str) -> None:
    make_agent(session_log, ["Hi."], session=session)("Hello")
    assert len(make_agent(session_log, session=session).messages) == 2


def test_exactly_one_of_client_log_and_url_is_needed(session_log: SessionLog) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        ValkeySessionManager("s")
    with pytest.raises(ValueError, match="exactly one"):
        ValkeySessionManager("s", session_log.client, log=session_log)


def test_before_the_first_agent_there_are_no_messages_as_with_the_manager_it_replaces(session_log: SessionLog) -> None:
    manager = ValkeySessionManager("s", log=session_log)
    assert manager.list_messages("s", "default") == manager.list_messages("nobody", "default") == []
    assert manager.list_messages("s", "default", limit=5, offset=3) == []


@pytest.mark.parametrize("kind", [ValueError, TypeError])
@pytest.mark.parametrize("index", ["0", None, 1.0])
def test_a_message_id_that_is_no_integer_is_refused_as_by_files_and_by_the_manager_it_replaces(
    session_log: SessionLog, kind: type[Exception], index: Any
) -> None:
    with pytest.raises(kind, match="message id must be an integer"):
        ValkeySessionManager("s", log=session_log).read_message("s", "default", index)


def test_the_arguments_of_the_manager_it_replaces_and_of_its_base_are_known(session_log: SessionLog) -> None:
    with pytest.warns(UserWarning, match="session_repository is not used") as warned:
        manager = ValkeySessionManager(session_id="s", log=session_log, session_repository=OldSessionManager)  # type: ignore[arg-type]
    assert warned[0].filename == __file__
    assert manager.session_repository is manager


@pytest.mark.parametrize("made", [ValkeySessionManager, lambda id_, log, **given: SessionRecorder(log, id_, **given)])
def test_a_namespace_beside_a_log_of_another_is_refused(session_log: SessionLog, made: Any) -> None:
    assert made("s", log=session_log, namespace=session_log.namespace)
    with pytest.raises(ValueError, match=r"namespace='other': the log is of namespace '.*'; leave it out"):
        made("s", log=session_log, namespace="other")


def test_two_managers_that_create_a_session_at_once_share_it(
    session_log: SessionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = ValkeySessionManager.create_session

    def beaten(self: ValkeySessionManager, session: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(ValkeySessionManager, "create_session", original)
        ValkeySessionManager("s", log=session_log)
        return original(self, session, **kwargs)

    monkeypatch.setattr(ValkeySessionManager, "create_session", beaten)
    manager = ValkeySessionManager("s", log=session_log)
    assert manager.session == manager.read_session("s")
    assert types(session_log) == ["session.created"]


def test_a_session_that_began_with_an_annotation_is_taken_up(session_log: SessionLog) -> None:
    session_log.append("s", events.Custom("custom.note", {}))
    make_agent(session_log, ["Hi."])("Hello")
    assert len(make_agent(session_log).messages) == 2
    assert types(session_log)[:2] == ["custom.note", "session.created"]
