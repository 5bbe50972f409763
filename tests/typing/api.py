"""The public API as users type it; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import valkey
from strands import Agent
from strands.session import SnapshotSessionManager

from strands_session_log import (
    DEFAULT_NAMESPACE,
    NO_SESSION,
    START,
    AgentActivity,
    AgentAt,
    Anchor,
    Audited,
    DataKey,
    Delta,
    Durability,
    ErasurePlan,
    EventId,
    FeedPosition,
    FeedTail,
    KeyDirectory,
    KeyProvider,
    KeyRecord,
    KeyRecords,
    LegalHold,
    LivePosition,
    LiveTail,
    LiveTokens,
    LocalKeys,
    Recorded,
    Retention,
    RetentionPolicies,
    RetentionPolicy,
    RetentionReport,
    RetentionStep,
    ServerReport,
    SessionAt,
    SessionInfo,
    SessionLog,
    SessionRecorder,
    SessionState,
    ShreddedKey,
    SubjectExport,
    SubjectPlace,
    SubjectReport,
    Subjects,
    SubjectStep,
    Tail,
    ValkeySessionManager,
    ValkeyStorage,
    Verification,
    WrappedKey,
    WrappedKeys,
    errors,
    events,
    evolve,
    instrumentation,
    parse_duration,
)
from strands_session_log.testing import ScriptedModel, play_again, recorded_messages

log: SessionLog = SessionLog.connect("valkey://localhost:6379", durability="fsync")
log = SessionLog(valkey.Valkey(decode_responses=True), namespace=DEFAULT_NAMESPACE, partitions=16)
log = SessionLog(valkey.ValkeyCluster(host="localhost"), durability=Durability.replicated(1))

log = SessionLog(valkey.Valkey(), snapshot_key=b"k" * 32)
log = SessionLog(valkey.Valkey(), snapshot_key=[b"new" * 16, b"old" * 16])

manager: ValkeySessionManager = ValkeySessionManager(session_id="s-42", client=valkey.Valkey())
manager = ValkeySessionManager("s-42", log=log)
manager = ValkeySessionManager("s-42", url="embedded:")
manager = ValkeySessionManager("s-42", log=log, record="state", hold_user_messages=True, record_prompts=True)
ValkeySessionManager("s-42", log=log, flush="overlap")
agent = Agent(session_manager=manager)

agent = Agent(model=ScriptedModel("Hello.", [{"text": "Bye."}], RuntimeError("no key"), chunk=4))
agent = Agent(model=ScriptedModel(["Hello.", RuntimeError("no key")]))
differing: list[str] = play_again(lambda model: Agent(model), recorded_messages(log, "s"), run_tools=True)
agent = Agent(model=ScriptedModel(lambda messages: f"{len(messages)} messages"))

recorder: SessionRecorder = SessionRecorder(log, "s-42", record_prompts=True)
agent = Agent(hooks=[recorder])
complete: bool = recorder.close(timeout=5.0)
lost: int = recorder.stats.lost

snapshots = SnapshotSessionManager("s-42", storage=ValkeyStorage(log))

page: list[SessionInfo] = log.sessions(limit=50)
troubled: list[SessionInfo] = log.sessions(
    100, since="-8h", until="-1h", failed=True, waiting=True, agent="a", labels={"team": "b"}, ascending=True
)
activities: tuple[AgentActivity, ...] = troubled[0].agents
telling: AgentActivity | None = troubled[0].activity
silent: list[str] = [one.agent for one in activities if one.is_silent]
lines: list[dict[str, object]] = [info.to_json() for info in troubled]
newest: dict[str, object] = log.state("s-42").to_json(last=20)
changes: dict[str, object] = log.diff("s-42", 3).to_json()
spent: int | None = troubled[0].tokens
is_known: bool = log.recount("s")
one_line: SessionInfo = log.session("s")
page = log.sessions(before=page[-1])
page = log.sessions(before=page[-1].cursor)
active: int = log.count_sessions(since=datetime.now(timezone.utc))
reports: list[ServerReport] = log.servers()
partitions: int = log.partitions
page = log.sessions(before=datetime.now(timezone.utc))

last: EventId = log.append("s-42", events.Custom("custom.feedback", {"score": 5}))
last = log.append(
    "s-42", [events.Custom("custom.feedback", {"score": 5}, "default")], expected=SessionAt(last.revision)
)
last = log.append("s-42", events.AgentUpdated({}, "default"), expected=AgentAt("default", revision=3, next_message=2))
last = log.append("s-42", events.SessionCreated({}), expected=NO_SESSION)

recorded: Iterator[Recorded] = log.read("s-42", after=12, until="-5m", types=["message.*"], agent="default")
for one in log.read("s-42", after=last, types="custom.feedback"):
    when: datetime = one.id.time
    link: str = one.link
    fields: tuple[str, str, str, str, str] = (
        one.event.type,
        one.event.agent,
        one.event.time,
        one.event.event_id,
        one.event.trace,
    )
    score: object = one.event.data["score"]

tail: Tail[Recorded] = log.tail("s-42", after="now", types="message.*", agent="default")
with tail:
    for one in tail:
        heard: EventId = one.id
feed: FeedTail = log.tail(after="-10m")
tail = log.tail("s-42", after=START)
for envelope in feed:
    about: tuple[str, EventId, str, dict[str, object]] = (
        envelope.session_id,
        envelope.id,
        envelope.link,
        envelope.facts,
    )
place: FeedPosition = FeedPosition.parse(str(feed.position))
feed = log.tail(after=place)


heard_live: LiveTail = log.live("s-42", after=last)
heard_live = log.live("s-42", after=heard_live.position)
heard_live = log.live("s-42", after=LivePosition.parse(str(heard_live.position)))
for item in heard_live:
    if isinstance(item, Delta):
        piece: tuple[EventId, str, str, str, int] = (
            item.id,
            item.line.kind,
            item.line.agent,
            item.line.text,
            item.revision,
        )
    else:
        finished: Recorded = item
speaker = LiveTokens(log, "s-42", interval=0.1, agent_id="graph:node")
agent = Agent(hooks=[speaker])
dropped: int = speaker.stats.dropped
settled: bool = speaker.flush(timeout=1.0)


async def follow() -> None:
    async with log.tail("s-42", after=12) as following:
        async for one in following:
            assert one.link
    await feed.aclose()


state: SessionState = log.state("s-42", at="2026-01-31T12:00:00Z")
text: object = state.agents["default"].messages[-1].message["content"]
window: int = len(state.agents["default"].window)
for one in log.read("s-42", after=state.position):
    state = evolve(state, one)
labels: dict[str, object] = dict(state.labels)
prompt: object = state.agents["default"].in_force.get("system_prompt")

verification: Verification = log.verify("s-42")
verification = log.verify("s-42", expect=[(7, "link"), "7:link", log.anchor("s-42")], feed=True)
witnessed: tuple[int, int] | None = verification.witnessed
anchor: Anchor = log.anchor("s-42")
noted: list[Anchor] = [*Anchor.parse_lines([str(anchor)])]
every: Iterator[Audited] = log.verify_all(expect=[anchor], feed=True)
is_broken: bool = log.state("s-42").integrity.is_broken
for known in (checked := log.read_checked("s-42", after=3)):
    intact: str = f"{known.id} {checked.integrity}"
manager = ValkeySessionManager("s-42", log=log, verify_on_resume=True)
small: SessionLog = SessionLog.connect("embedded:", compress="zstd")
keys = LocalKeys.new("keys")
local: SessionLog = SessionLog.connect("embedded:", encryption="keys")
anywhere: KeyProvider = WrappedKeys(KeyDirectory("wrapped"), wrap=lambda key, to: key, unwrap=lambda key, to: key)
encrypted: SessionLog = SessionLog.connect("embedded:", encryption=anywhere)
data_key: DataKey | None = anywhere.current("s-42")
records: KeyRecords = keys.records
shredded_keys: int = keys.shred("s-42", reason="asked to", by="ada")
renewed: tuple[int, DataKey] = (keys.rotate_master(), keys.rotate("s-42"))
for record in keys.all_keys():
    kept_record: KeyRecord = record
    kept: list[WrappedKey] = [*record.keys]
    gone: list[ShreddedKey] = [*record.shredded]
sealed: list[bool] = [one.event.is_sealed or one.event.has_content for one in log.read("s-42")]
called: dict[str, object] | None = events.model_call({"model_ms": 1.5})
proved: bool = verification.ok
proof: dict[str, object] = verification.to_json()
recorded_as: EventId | None = log.erase("s-42", last, reason="a password")
made: EventId = log.fork("s-42", at=7, into="s-42-again")
made = log.fork("s-42", None, "s-43", allow_unanswered=True, progress=lambda done, total: done)
origin: tuple[str, EventId] | None = verification.parent
rewound: EventId = log.rewind("s-42", 7)
rewound = log.rewind("s-42", "-5m", allow_unanswered=True)
since = log.diff("s-42", 7)
for agent_diff in log.diff("s-42", last, "-1h").agents.values():
    new: list[object] = [change.after.message for change in agent_diff.added if change.after]
    paths: list[tuple[str | int, ...]] = [change.path for change in (*agent_diff.state, *since.session, *since.labels)]
    joined: tuple[int, ...] = agent_diff.window_joined
plan: ErasurePlan = log.plan_erasure("s-42", [12, last])
going: dict[str, tuple[EventId, ...]] = {**plan.erased, **plan.kept, "s-42": plan.named}
to_resume: tuple[str, ...] = plan.moved
recorded_as = log.erase("s-42", [12, "1700000000000-13", last], reason="why", progress=lambda done, total: done)
count: int = log.delete("s-42", reason="asked to", by="ada")
for tombstone in log.tombstones("s-42"):
    link = tombstone.link
reduced: int = log.reduce_tombstone("s-42")

retention: Retention = log.retention
hold: EventId = retention.hold("s-42", reason="matter 4711", by="counsel")
released: EventId = retention.release("s-42", reason="closed", by="counsel", holds=[hold, 17])
held: list[LegalHold] = [*retention.holds(), *retention.holds("s-42")]
due: datetime | None = retention.set_ttl("s-42", timedelta(days=30)) or retention.set_ttl("s-42", "30d")
ttl: timedelta | None = retention.ttl("s-42") or parse_duration("30d") or log.session("s-42").ttl
swept: RetentionReport = retention.sweep(dry_run=True, by="cron", told=lambda step: (step.why, step.outcome))
swept = retention.prune(older_than="90d", keep_last=1000, labels={"env": "test"}, per="suite", reason="r", by="ada")
policies: RetentionPolicies = RetentionPolicies.read("policies.toml")
swept = retention.apply(policies, dry_run=True) if policies.policies else retention.apply("policies.json")
policy: RetentionPolicy = RetentionPolicies.parse("[[policy]]\nkeep_last = 1").policies[0]
deleted: list[RetentionStep] = []
swept = retention.sweep(told=deleted.append)
log.erase("s-42", 12, reason="request 4711", leave_held=True)

log = SessionLog(valkey.Valkey(), subject_key=[b"new" * 16, b"old" * 16])
persons: Subjects = log.subjects
said: EventId | None = persons.annotate("s-42", "user-77") or persons.annotate("s-42", "user-77", events=[4, "5"])
about_them: list[SubjectPlace] = [*persons.find("user-77")]
with open("user-77.jsonl", "wb") as file:  # noqa: PTH123
    written: SubjectExport = persons.export("user-77", file, progress=lambda done, total: None)
erased_of_them: SubjectReport = persons.erase("user-77", reason="request 4711", by="dpo", delete=True, dry_run=True)
step: SubjectStep = erased_of_them.steps[0]
left_over: bool = erased_of_them.is_complete or erased_of_them.count("held") > 0 or persons.reindex() > 0
ValkeySessionManager("s-42", log=log, ttl="30d", subject="user-77")
SessionRecorder(log, "s-42", ttl=timedelta(days=30), subject="user-77")
ValkeyStorage(log, subject="user-77")
place_of: EventId = log.resolve("s-42", "-5m")

for status in log.groups():
    behind: int = status.lag
    readers: tuple[str, ...] = status.active
    lacking: int = status.gap.missing if status.gap else 0
for parked in log.parked("audit"):
    why: tuple[str, EventId, str, datetime] = (parked.session_id, parked.id, parked.error, parked.parked_at)
    replayed: int = log.parked("audit").replay([parked.parked_id])
    replayed = log.parked("audit").drop([log.parked("audit").get("0:1-1").parked_id])
swallowed: list[int] = [gap.missing for gap in log.settle_gaps("audit", "catch_up")]
log.delete_group("audit")

try:
    log.state("s-42")
except errors.SessionNotFoundError as error:
    missing: str = error.session_id
except errors.UnansweredToolCallsError as error:
    nearest: tuple[object, ...] = error.nearest
except errors.SessionExistsError as error:
    taken: str = error.session_id


def print_conflicts(detail: instrumentation.Detail, /) -> None:
    """A hook of one's own."""
    if isinstance(detail, instrumentation.ConflictSeen):
        log.delete("s-43")


instrumentation.add_hook(print_conflicts)
hook: instrumentation.Hook = instrumentation.instrument_with_prometheus()
instrumentation.set_hooks([hook])
