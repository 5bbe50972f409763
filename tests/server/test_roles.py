"""Users who may do what their role needs, and nothing else, on real servers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO
from uuid import uuid4

import pytest
from strands import Agent
from strands.types.exceptions import StorageError
from typer.testing import CliRunner

from strands_session_log import (
    SessionLog,
    Subscriber,
    ValkeySessionManager,
    ValkeyStorage,
    drop_archived,
    errors,
    events,
    forget_archived,
    restore_archived,
    scripts,
)
from strands_session_log.cli.app import app
from strands_session_log.scripts import roles
from strands_session_log.scripts.roles import ADMIN, ROLES, SUBSCRIBER, VIEWER, WRITER, Role
from strands_session_log.seals import SealDirectory, SigningKey
from strands_session_log.server import connect, inspect, permissions, release
from strands_session_log.session_log import Subjects
from strands_session_log.session_log.subject_keys import SubjectKeys
from strands_session_log.testing.model import ScriptedModel
from strands_session_log_consumers.archive import SessionArchive
from strands_session_log_consumers.archive.archiver import Archiver, Outcome
from strands_session_log_consumers.archive.settings import ArchiveSettings
from strands_session_log_consumers.archive.sweep import Sweep
from strands_session_log_consumers.witness.watching import Watch
from support import Cluster, RedisServer, ServerUnavailable, ValkeyliteServer
from support.exporting import ExporterProcess
from support.processes import HOST
from support.sentinel import sentinel_of
from support.servers import Server
from support.tls import Authority, TlsPeer
from support.waiting import wait_until

NS = "roles"
READER = "+@read +ping +eval_ro +evalsha_ro +script|exists +script|load %R~roles:*"
CLUSTER_DRIVER = "+cluster|slots +command"
OTHERS = ("roles:x", "role", "roles2")
"""Namespaces whose names are like it."""
BY_NAME = {role.name: role for role in ROLES}


class Place:
    """A server or cluster, and users on it."""

    def __init__(self, url: str, nodes: list[Server], extra: str = "") -> None:
        self.url, self.nodes, self._extra = url, nodes, extra

    def user(self, rules: str) -> str:
        """The URL by which somebody logs in who may do this."""
        for node in self.nodes:
            node.execute("ACL", "SETUSER", "somebody", "reset", "on", ">hunter2", *rules.split(), *self._extra.split())
        return self.url.replace("://", "://somebody:hunter2@")

    def forbidden(self) -> set[str]:
        """What the user was refused, besides what may be refused."""
        named = {entry for node in self.nodes for entry in _refusals(node)}
        return {name for name in named if not name.startswith(("client|", "config|", "acl|"))} - {"info", "time"}


def _refusals(node: Server) -> set[str]:
    rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in node.execute("ACL", "LOG")]
    found = {row["object"] for row in rows}
    node.execute("ACL", "LOG", "RESET")
    return found


def _redis() -> type[Server]:
    try:
        RedisServer.binary()
    except ServerUnavailable as error:
        pytest.skip(str(error))
    return RedisServer


@contextmanager
def a_single(kind: type[Server]) -> Iterator[Place]:
    with kind() as server:
        yield Place(server.url, [server])


@contextmanager
def a_cluster() -> Iterator[Place]:
    with Cluster() as cluster:
        yield Place(cluster.url, cluster.nodes, CLUSTER_DRIVER)


@contextmanager
def behind_a_sentinel() -> Iterator[Place]:
    with ValkeyliteServer() as server, sentinel_of(server) as port:
        yield Place(f"valkey+sentinel://{HOST}:{port}/mymaster", [server])


@contextmanager
def over_tls(clients: bool = False) -> Iterator[Place]:
    """With `clients`, only who shows a certificate is let in."""
    with TemporaryDirectory() as directory, ValkeyliteServer() as server:
        authority = Authority(Path(directory))
        trusted = authority.certificate if clients else None
        with TlsPeer(server.port, authority.sign("localhost", HOST), trusted) as peer:
            own = f"&ssl_certfile={path}&ssl_keyfile={path}" if clients and (path := authority.sign("agent")) else ""
            url = f"valkeys://localhost:{peer.port}?ssl_ca_certs={authority.certificate}{own}"
            yield Place(url, [server])


PLACES: dict[str, Callable[[], Any]] = {
    "valkey": lambda: a_single(ValkeyliteServer),
    "redis7": lambda: a_single(_redis()),
    "cluster": a_cluster,
    "sentinel": behind_a_sentinel,
    "tls": over_tls,
    "mutual-tls": lambda: over_tls(clients=True),
}


PRINCIPAL = ("valkey", "cluster")
"""Those of the default run; in the others the way to the server differs, or the server is an older one."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in PRINCIPAL else [pytest.mark.exhaustive]) for name in PLACES],
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """With sessions of every kind, and a group, made by a user who may do all."""
    with PLACES[request.param]() as place:
        with SessionLog.connect(place.url, namespace=NS) as log:
            write(log)
            consume(log)
        yield place


@contextmanager
def opened(url: str) -> Iterator[SessionLog]:
    with SessionLog.connect(url, namespace=NS, retry_for=0) as log:
        yield log


def look(log: SessionLog) -> None:
    """All that a viewer does."""
    listed = [info.session_id for info in log.sessions()]
    assert "s-1" in listed
    log.count_sessions(since=log.sessions()[-1].created_at)
    assert "s-1" in [*log.session_ids(), *log.session_ids(since="-1h")]
    assert log.plan_erasure("s-1", 1).named
    assert [one.id.revision for one in log.read("s-1")][:2] == [1, 2]
    assert log.state("agent").agents["default"].messages
    log.state("agent", at=2)
    log.state("agent", at="-0s")
    log.diff("agent", 1, 2)
    assert log.verify("agent").ok
    log.servers()


def watch(log: SessionLog) -> None:
    with log.tail("s-1") as tail:
        assert next(tail).id.revision == 1
    with log.tail(after="-1h") as feed:
        next(feed)


def look_at_groups(log: SessionLog) -> None:
    """What a viewer does, besides."""
    assert any(one.group == "g" for one in log.groups())
    list(log.parked("g"))


def verify_all(log: SessionLog) -> None:
    """Also such as the directory does not list."""
    for found in log.verify_all():
        if any("cannot be looked for" in problem for problem in found.verification.problems):
            raise errors.ForbiddenError(found.verification.problems[0])


def audit(log: SessionLog) -> None:
    """All that an auditor does."""
    assert log.verify("agent").ok
    assert log.verify("forked", feed=True).ok
    verify_all(log)
    list(log.tombstones())
    list(log.tombstones("s-2"))
    log.anchor("s-1")
    assert log.state("agent").agents
    assert [*log.read_checked("s-1")]


def seal(log: SessionLog) -> None:
    """All that a witness does."""
    with TemporaryDirectory() as directory:
        watch = Watch(log, SealDirectory(directory), SigningKey.make("example.com/roles"))
        standing = watch.round()
        assert standing.summary.sessions > 3
        assert standing.checked > 3
        assert standing.ok
        assert not standing.summary.skipped


def write(log: SessionLog) -> None:
    """All that a writer does."""
    for name in ("s-1", "s-2", "s-3", "s-6"):
        log.append(name, [events.Custom("custom.note", {"number": number}) for number in range(5)])
    log.append("s-1", events.Custom("custom.note", {"number": 9}), once=True)
    manager = ValkeySessionManager("agent", log=log)
    agent = Agent(model=ScriptedModel(["first", "second", "third"]), session_manager=manager, callback_handler=None)
    agent("hello")
    agent("and again")
    manager.close()
    if not [info for info in log.sessions() if info.session_id == "forked"]:
        log.fork("agent", at=3, into="forked")
    log.rewind("s-2", to=2)
    said = {"role": "user", "content": [{"text": "a secret"}], "tracking_id": "t"}
    if not log._events.head("held"):
        window = {"items": [{"message": said}], "removed": 0, "next": 1}
        log.append(
            "held", [events.MessageAdded({"message": said, "message_id": 0}, "a"), events.WindowChanged(window, "a")]
        )


def consume(log: SessionLog) -> None:
    """All that a consumer does."""
    for ordered in (False, True):
        name = "g" if ordered else "competing"
        with Subscriber(log, name, ordered=ordered, start="beginning", bodies=True) as deliveries:
            next(deliveries).ack()
            next(deliveries).fail("why")
            next(deliveries).park("why")
    (parked, *_) = log.parked("g")
    log.parked("g").replay([parked.parked_id])
    log.parked("g").drop([parked.parked_id])
    log.settle_gaps("g", "skip")
    log._events.trim_feed(0, exactly=True)
    log.delete_group("competing")


def follow(log: SessionLog) -> None:
    with Subscriber(log, "followers", start="beginning") as deliveries:
        next(deliveries).ack()


def delete(log: SessionLog) -> None:
    log.delete("s-4", reason="why")


def hold(log: SessionLog) -> None:
    log.retention.hold("s-4", reason="why", by="me")
    log.retention.release("s-4", reason="why", by="me")


def store(log: SessionLog) -> None:
    asyncio.run(ValkeyStorage(log).write("key", b"value"))


def erase(log: SessionLog) -> None:
    """All that an eraser does."""
    log.erase("s-3", 1, reason="why", by="me")
    # What an agent resumes with holds what it says, and is written anew without it.
    log.erase("held", 1, reason="why", by="me")
    assert "secret" not in str(list(log.read("held")))
    log.delete("s-2", reason="why", by="me")
    log.retention.hold("held", reason="why", by="me")
    log.retention.release("held", reason="why", by="me")
    log.retention.set_ttl("held", "30d")
    assert log.retention.sweep().deleted == log.retention.prune(older_than="1d").deleted == 0
    persons = Subjects(log._events, log._replay, SubjectKeys(b"k" * 32), log)
    persons.annotate("held", "user-77")
    assert persons.erase("user-77", reason="why").is_complete
    assert persons.reindex() == 0


class Shelf:
    """An archive of one session, `s-5`."""

    def __init__(self) -> None:
        self.bundle = b""

    def put(self, log: SessionLog) -> None:
        """Archive it, and drop it."""
        log.append("s-5", events.Custom("custom.note", {}))
        with BytesIO() as bundle:
            log.export("s-5", bundle)
            self.bundle = bundle.getvalue()
        drop_archived(log, "s-5", log.head("s-5"), log.anchor("s-5").link, "shelf")

    def open_bundle(self, namespace: str, session_id: str, link: str | None = None) -> BinaryIO | None:
        return BytesIO(self.bundle)


SHELF = Shelf()


def bring_back(log: SessionLog) -> None:
    """What an agent does whose session is in an archive only."""
    assert restore_archived(log, "s-5", SHELF)
    assert log.head("s-5").revision


def archive(log: SessionLog) -> None:
    """All that an archiver does."""
    with TemporaryDirectory() as directory:
        kept, settings = SessionArchive(directory), ArchiveSettings(idle=0, drop=True)
        assert "s-6" in {one.session_id for one in Sweep(log, kept, settings).run(dry_run=True)}
        assert Archiver(log, kept).archive("agent", drop=True).outcome is Outcome.FORKED
        assert Archiver(log, kept).archive("s-6", drop=True).outcome is Outcome.DROPPED
        assert forget_archived(log, "s-6", reason="asked to", by="me")


WORK = {
    "viewer": [look, watch, look_at_groups],
    "auditor": [audit, seal],
    "witness": [seal],
    "writer": [write, look, watch],
    "subscriber": [consume, look, watch, look_at_groups],
    "eraser": [erase, look],
    "archiver": [archive],
    "admin": [write, consume, look, watch, look_at_groups, audit, erase, archive, SHELF.put, bring_back],
}


@pytest.mark.parametrize("name", [role.name for role in ROLES])
def test_a_user_with_the_rules_of_a_role_can_do_its_work(place: Place, name: str) -> None:
    with SessionLog.connect(place.url, namespace=NS) as log:
        write(log)
    url = place.user(BY_NAME[name].rules(NS))
    place.forbidden()
    with opened(url) as log:
        for work in WORK[name]:
            work(log)
    assert place.forbidden() == set()
    with SessionLog.connect(place.url, namespace=NS) as log:
        write(log)


REFUSED = r"o permissions|executing the script can't"
OPERATIONS: dict[str, tuple[Callable[[SessionLog], object], set[str]]] = {
    "append": (lambda log: log.append("s-1", events.Custom("custom.note", {})), {"writer", "eraser"}),
    "fork": (lambda log: log.fork("s-1", 1, f"s-1-{uuid4()}"), {"writer", "eraser"}),
    "store": (store, {"writer", "eraser"}),
    "follow the feed in a group": (follow, {"subscriber"}),
    "see what is parked": (lambda log: list(log.parked("g")), {"viewer", "subscriber"}),
    "trim the feed": (lambda log: log._events.trim_feed(0), {"subscriber", "writer"}),
    "delete": (delete, {"eraser", "archiver"}),
    "erase": (lambda log: log.erase("s-1", log.head("s-1"), "why"), {"writer", "eraser"}),
    "verify all": (verify_all, {"auditor"}),
    "hold": (hold, {"eraser"}),
    "set a time to live": (lambda log: log.retention.set_ttl("s-4", "30d"), {"writer", "eraser"}),
    "bring back": (bring_back, {"writer", "eraser"}),
    "read what is stored": (lambda log: asyncio.run(ValkeyStorage(log).read("key")), {"writer", "eraser"}),
}
"""What one role is for, and which others do it as part of their work."""


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", [role.name for role in ROLES])
def test_a_role_does_its_work_and_that_of_no_other(place: Place, name: str, operation: str) -> None:
    work, allowed = OPERATIONS[operation]
    with SessionLog.connect(place.url, namespace=NS) as log:
        log.append("s-4", events.Custom("custom.note", {}))
        store(log)
        SHELF.put(log)
    with opened(place.user(BY_NAME[name].rules(NS))) as log:
        if name in allowed or name == "admin":
            work(log)
        else:
            with pytest.raises(
                (errors.ForbiddenError, StorageError), match=r"o permissions|executing the script can't"
            ):
                work(log)


@pytest.mark.parametrize("name", [role.name for role in ROLES])
def test_no_role_reads_another_namespace(place: Place, name: str) -> None:
    for other in OTHERS:
        with SessionLog.connect(place.url, namespace=other) as log:
            log.append("s-1", events.Custom("custom.note", {}))
    url = place.user(BY_NAME[name].rules(NS))
    for other in OTHERS:
        with pytest.raises(errors.ForbiddenError), opened_as(url, other) as log:
            list(log.read("s-1"))


def test_the_exporter_is_a_subscriber(place: Place, tmp_path: Path) -> None:
    with ExporterProcess(place.user(SUBSCRIBER.rules(NS)), NS, tmp_path) as exporter:
        exporter.wait_until_ready()
        with SessionLog.connect(place.url, namespace=NS) as log:
            log.append("s-1", events.Custom("custom.note", {"number": 1}))
        wait_until(lambda: exporter.total("events_total") == 1, "an event to be counted")


def test_an_auditor_by_category_can_read_everything(place: Place) -> None:
    url = place.user(READER)
    place.forbidden()
    with opened(url) as log:
        look(log)
        watch(log)
        audit(log)
        with pytest.raises(errors.ForbiddenError, match=r"docs/security\.md"):
            log.append("s-1", events.Custom("custom.note", {}))
    assert place.forbidden() <= {"evalsha", "eval"}


READING = (
    *("sessions", "show agent", "show agent --at 2", "events agent --json", "diff agent 1 2", "verify agent"),
    *("verify --all", "anchor agent", "anchor", "groups", "groups --partitions", "parked list g"),
    *("replay agent", "replay agent --follow --speed 1000 --max-pause 1ms", "export agent --to file-session {}"),
)


def test_every_command_that_reads_works_for_an_auditor(place: Place, tmp_path: Path) -> None:
    where = ["--url", place.user(READER), "--namespace", NS]
    place.forbidden()
    for line in READING:
        result = CliRunner().invoke(app, [*line.format(tmp_path).split(), *where])
        assert result.exit_code == 0, f"{line}: {result.output}"
    assert place.forbidden() == set()


def test_a_long_session_and_a_damaged_snapshot_are_no_matter_to_a_reader(place: Place) -> None:
    with SessionLog.connect(place.url, namespace=NS) as log:
        log.append("long", [events.Custom("custom.note", {"number": number}) for number in range(600)])
        log.state("long")
        log._replay.settle()
        snapshot = log._events.keyspace.session("long").snapshot
        for field in log.client.execute_command("HKEYS", snapshot):
            log.client.execute_command("HSET", snapshot, field, "damaged")
        log.client.execute_command("HSET", snapshot, "points", str(next(log.read("long", after=400)).id))
    url = place.user(VIEWER.rules(NS))
    place.forbidden()
    with opened(url) as log:
        for _ in range(3):
            assert log.state("long").revision == 600
            log._replay.settle()
        assert log.verify("long").revision == 600
    # Once it has found out that it may not throw it away, and not save another.
    assert place.forbidden() <= {"unlink", "evalsha"}


def test_scripts_are_brought_to_a_server_that_has_forgotten_them(place: Place) -> None:
    url = place.user(READER)
    for node in place.nodes:
        node.execute("SCRIPT", "FLUSH")
    with opened(url) as log:
        look(log)
        watch(log)
        audit(log)


def asked(namespace: str, *wanted: Role) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What `doctor` asks a server about these roles."""
    return {role.name: (f"{namespace}:{role.probe}", role.commands) for role in wanted}


def test_a_user_who_may_only_ping_is_examined(place: Place) -> None:
    client = connect(place.user("+ping"))
    report = inspect(client, asked(NS, *ROLES))
    release(client)

    assert report.flavour in ("valkey", "redis")
    assert report.version is not None
    missing = report.missing_permissions or {}
    assert {role.name: set(missing[role.name]) for role in ROLES} == {role.name: set(role.commands) for role in ROLES}


@pytest.mark.parametrize(("rules", "exit_code"), [("+ping", 1), (READER, 0), (WRITER.rules(NS), 0)])
def test_doctor_says_which_roles_a_user_can_take(place: Place, rules: str, exit_code: int) -> None:
    result = CliRunner().invoke(app, ["doctor", "--json", "--url", place.user(rules), "--namespace", NS])
    report = json.loads(result.output)

    assert (result.exit_code, report["ok"]) == (exit_code, not exit_code)
    levels = {finding["subject"].removeprefix("as "): finding["level"] for finding in report["findings"]}
    missing = report["server"]["missing_permissions"]
    for role in ROLES:
        expected = ("error" if exit_code else "warn") if missing[role.name] else "ok"
        assert levels[role.name] == expected
    if not exit_code:
        assert missing["viewer"] == []


@pytest.mark.parametrize("may_ask", [False, True])
def test_what_a_user_lacks_for_each_role_is_found_out(place: Place, may_ask: bool) -> None:
    asking = " +acl|whoami +acl|dryrun" if may_ask else ""
    client = connect(place.user(f"{WRITER.rules(NS)} -xadd{asking}"))
    missing = inspect(client, asked(NS, VIEWER, WRITER, SUBSCRIBER)).missing_permissions or {}
    other = inspect(client, asked("other", VIEWER)).missing_permissions or {}
    release(client)

    assert (missing["viewer"], missing["writer"]) == ((), ("XADD",))
    assert {"XACK", "XREADGROUP"} <= set(missing["subscriber"])
    assert {"HMGET", "XRANGE", "EVALSHA_RO"} <= set(other["viewer"])


def test_a_namespace_with_signs_of_patterns_in_its_name_is_no_pattern(place: Place) -> None:
    server = place.nodes[0]
    server.execute("ACL", "SETUSER", "somebody", "reset", "on", *WRITER.rules("a*[b]?\\").split())

    def may(key: str) -> bool:
        return server.execute("ACL", "DRYRUN", "somebody", "GET", key) in (b"OK", "OK")

    assert may("a*[b]?\\:config")
    assert not may("abc:config")
    assert not may("axbx\\:config")
    assert not may("a*b?\\:config")


def test_looking_for_permissions_changes_nothing(place: Place) -> None:
    def keys() -> list[list[str]]:
        return [sorted(node.execute("KEYS", "*")) for node in place.nodes]

    before = keys()
    client = connect(place.user("+@all -acl ~*"))
    missing = inspect(client, asked("other", ADMIN)).missing_permissions or {}
    release(client)

    assert set(missing["admin"]) == {"ACL|WHOAMI", "ACL|DRYRUN"}
    assert keys() == before


def test_every_command_of_a_role_can_be_asked_for() -> None:
    assert set(ADMIN.commands) == set(permissions.PROBES)


def test_the_commands_of_a_script_are_those_of_the_functions_it_uses() -> None:
    """It has no more than it uses of the library, which can do more."""
    assert roles.commands_of(scripts.LOAD) == {"HMGET", "HGET", "HSTRLEN", "XRANGE"}
    assert b"is_ahead" not in scripts.GROUP_STATUS.source
    assert "XACK" not in roles.commands_of(scripts.GROUP_STATUS)
    assert {"XGROUP|CREATE", "XCLAIM", "XREADGROUP"} <= roles.commands_of(scripts.GROUP_FETCH)


def test_every_script_belongs_to_a_role() -> None:
    used = {command for role in ROLES for command in role.commands}
    for name, script in vars(scripts).items():
        if isinstance(script, scripts.Script):
            assert roles.commands_of(script) <= used, name
            assert hasattr(roles, name), f"{name} belongs to no role"


def test_what_a_reader_runs_only_reads(place: Place) -> None:
    """By what the server itself says of its commands."""
    for command in VIEWER.commands:
        flags = place.nodes[0].execute("COMMAND", "INFO", command.lower())
        assert "write" not in str(flags), command


def test_every_command_that_is_sent_is_declared() -> None:
    source = "".join(path.read_text() for path in _modules())
    sent = set(re.findall(r"(?:command|ask|_ask|commands\.append)\(+b?\"([A-Z]{2,}(?: [A-Z]+)?)\"", source))
    sent |= set(re.findall(r"execute_command, b?\"([A-Z]+)\"", source))
    declared = {command.partition("|")[0] for role in ROLES for command in role.commands} | {"CLIENT"}
    assert sent >= {"XREAD", "HMGET", "ZRANGE", "UNLINK"}
    assert {command.partition(" ")[0] for command in sent} <= declared


def _modules() -> Iterator[Path]:
    package = Path(scripts.__file__).parents[1]
    return (path for path in package.rglob("*.py") if not {"testing", "moving", "server"} & set(path.parts))


def test_the_page_says_what_each_role_is_for_and_touches() -> None:
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    for role in ROLES:
        reads, writes = [one for one in role.reads if one not in role.writes], role.writes
        cells = (", ".join(f"`{pattern}`" for pattern in patterns) for patterns in (reads, writes))
        assert " | ".join(("", role.name, role.purpose, *cells, "")).strip() in page
    for commands, purpose in roles.OPTIONAL.items():
        cell = commands.lower().replace("|", "\\|")
        assert f"| `{cell}` | {purpose} |" in page


def test_a_namespace_that_does_not_exist_is_not_made_by_a_reader(place: Place) -> None:
    with pytest.raises(errors.SessionLogError, match="nothing"), opened_as(place.user(READER), "roles:none"):
        pass


@contextmanager
def opened_as(url: str, namespace: str) -> Iterator[SessionLog]:
    with SessionLog.connect(url, namespace=namespace, retry_for=0) as log:
        yield log
