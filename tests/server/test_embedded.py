"""The embedded server is there for as long as anybody uses it, and not a moment longer.

Everything here is real: servers, supervisors, users in processes of their own, and `kill -9`.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
import valkey

from strands_session_log import SessionLog, errors, events
from strands_session_log.errors import EmbeddedServerError, MissingExtraError, SessionLogError
from strands_session_log.server import embedded, release
from strands_session_log.server.supervisor import open_lock, probe, try_lock
from support.clients import Client, connect
from support.programs import Program

pytestmark = pytest.mark.faults

OTHER = 65534
"""Another user."""
SECRET = "hunter2-is-my-password"

USER = """
import sys
from strands_session_log.server import connect
print("here", flush=True)
sys.stdin.readline() or sys.exit()
client = connect(sys.argv[1])
client.rpush("users", sys.argv[2])
print(client.info("server")["process_id"], flush=True)
sys.stdin.read()
"""


def note(number: int) -> events.Event:
    return events.Custom("custom.note", {"number": number})


def answers(log: SessionLog) -> bool:
    with contextlib.suppress(SessionLogError):
        return log.state("s").revision > 0
    return False


class User:
    """Another process that opens a directory when told to, and uses it until told otherwise."""

    def __init__(self, directory: Path, name: str = "someone") -> None:
        self.process = Program(["-c", USER, f"embedded://{directory}", name], stdin=PIPE, stdout=PIPE, text=True)
        assert self._line() == "here"

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def server(self) -> int:
        return int(self._line())

    def open(self) -> int:
        self.go()
        return self.server()

    def leave(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return str(self.process.stdout.readline()).strip()


def contents(place: Path) -> dict[str, bytes]:
    files = [place] if place.is_file() else sorted(place.rglob("*"))
    return {str(path): path.read_bytes() for path in files if path.is_file()}


def wait_until(condition: Callable[[], object], seconds: float = 20.0, interval: float = 0.005) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(interval)


def server_of(client: Any) -> int:
    return int(client.info("server")["process_id"])


def ps(pid: int, column: str) -> str:
    shown = subprocess.run(["ps", "-o", f"{column}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def is_gone(pid: int) -> bool:
    # A killed supervisor leaves its server to init, and not every container has one that buries its dead.
    return ps(pid, "stat")[:1] in ("", "Z")


def supervisor_of(server: int) -> int:
    return int(ps(server, "ppid"))


def servers_in(directory: Path) -> list[str]:
    """Servers show their socket in their title; the command line has the directory until they do."""
    shown = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if str(directory) in line and "valkey" in line]


def is_free(directory: Path, name: str) -> bool:
    lock = open_lock(str(directory), name)
    try:
        return try_lock(lock)
    finally:
        os.close(lock)


def is_closing(directory: Path) -> bool:
    """Whether the supervisor has seen that nobody is left: only it locks `users.lock` exclusively."""
    lock = open_lock(str(directory), "users.lock")
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def kill_until_given_up(directory: Path) -> None:
    """Kill the server whenever it serves, with a client that does not start it again."""
    with valkey.Valkey(unix_socket_path=str(directory / "valkey.sock")) as client:
        while not is_free(directory, "supervisor.lock"):
            with contextlib.suppress(valkey.ConnectionError, ProcessLookupError):
                os.kill(server_of(client), signal.SIGKILL)


def wait_until_unused(directory: Path) -> None:
    for name in ("supervisor.lock", "server.lock"):
        wait_until(partial(is_free, directory, name))
    wait_until(lambda: servers_in(directory) == [])
    assert not (directory / "valkey.sock").exists()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with a short name, of which no process may be left in the end."""
    place = Path(tempfile.mkdtemp(prefix="embedded-")).resolve()
    yield place / "log"
    gc.collect()
    if (place / "log").exists():
        wait_until_unused(place / "log")
    shutil.rmtree(place)


@pytest.fixture
def opened(directory: Path) -> Iterator[Callable[[], Client]]:
    """Open the directory in this process, until the end of the test at the latest."""
    clients = []

    def open_it() -> Client:
        client = connect(f"embedded://{directory}")
        assert isinstance(client, valkey.Valkey)
        clients.append(client)
        return client

    yield open_it
    for client in clients:
        release(client)


class TestOneUser:
    def test_a_temporary_server_leaves_nothing_behind(self) -> None:
        client = connect("embedded:")
        directory = Path(client.config_get("dir")["dir"])
        server = server_of(client)
        assert directory.is_dir()

        release(client)

        # It is renamed before it is removed, so that nobody opens half of it.
        wait_until(lambda: not list(directory.parent.glob(f"{directory.name}*")))
        wait_until(lambda: is_gone(server))

    def test_what_is_kept_is_there_the_next_time(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        client.xadd("stream", {"field": b"\x00\xff"}, id="1-1")
        release(client)
        wait_until_unused(directory)

        assert opened().xrange("stream") == [(b"1-1", {b"field": b"\x00\xff"})]

    def test_it_is_a_private_server_that_keeps_everything(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        client.set("key", "value")

        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "stream-node-max-bytes": "65536",
            "port": "0",
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        for path in (directory, *directory.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

    def test_client_options_and_those_of_the_url_apply(self, directory: Path) -> None:
        client = connect(f"embedded://{directory}?db=3", decode_responses=True)

        assert client.client_info()["name"] == "strands-session-log"
        assert client.client_info()["db"] == 3
        assert client.echo("text") == "text"
        release(client)

    def test_it_stops_when_the_client_is_forgotten(self, opened: Callable[[], Client], directory: Path) -> None:
        client = connect(f"embedded://{directory}")
        pipeline = client.pipeline()
        del client
        gc.collect()
        assert pipeline.ping().execute() == [True]

        del pipeline
        gc.collect()

        wait_until_unused(directory)

    def test_it_stops_when_the_process_ends(self, directory: Path) -> None:
        user = User(directory)
        server = user.open()

        user.leave()

        wait_until_unused(directory)
        wait_until(lambda: is_gone(server))

    def test_it_stops_when_the_process_is_killed(self, directory: Path) -> None:
        user = User(directory)
        server = user.open()

        user.kill()

        wait_until_unused(directory)
        wait_until(lambda: is_gone(server))

    def test_closing_the_connections_is_not_the_end(self, opened: Callable[[], Client]) -> None:
        client = opened()
        server = server_of(client)

        client.close()

        assert server_of(client) == server

    def test_the_server_itself_holds_its_lock(self, directory: Path, opened: Callable[[], Client]) -> None:
        """So whoever has that lock knows that no server writes to the directory, whatever became of supervisors."""
        server = server_of(opened())
        supervisor = supervisor_of(server)
        os.kill(supervisor, signal.SIGSTOP)
        try:
            assert not is_free(directory, "server.lock")
            os.kill(server, signal.SIGKILL)
            wait_until(lambda: is_free(directory, "server.lock"))
        finally:
            os.kill(supervisor, signal.SIGCONT)

    def test_coming_while_the_supervisor_is_on_its_way_out(self, directory: Path, opened: Callable[[], Client]) -> None:
        met = 0
        for count in range(1, 11):
            client = opened()
            assert client.incr("count") == count
            release(client)
            wait_until(lambda: is_closing(directory) or is_free(directory, "supervisor.lock"), interval=0.0005)
            met += is_closing(directory)

        assert met

    @pytest.mark.parametrize(
        "options",
        [{"namespace": "a{b"}, {"durability": "tape"}, {"partitions": 0}],
        ids=lambda options: next(iter(options)),
    )
    def test_a_log_that_cannot_be_opened_leaves_no_server_behind(
        self, directory: Path, options: dict[str, Any]
    ) -> None:
        with pytest.raises(SessionLogError) as caught:
            SessionLog.connect(f"embedded://{directory}", **options)

        # The traceback in `caught` still holds the client, so that garbage collection cannot be what stopped it.
        wait_until_unused(directory)
        assert caught.value


class TestSeveralUsers:
    def test_a_process_may_open_a_directory_twice(self, opened: Callable[[], Client]) -> None:
        first, second = opened(), opened()
        server = server_of(first)
        assert server_of(second) == server

        release(first)

        assert server_of(second) == server

    def test_threads_that_come_at_once_get_one_server(self, opened: Callable[[], Client]) -> None:
        together = threading.Barrier(8)

        def join() -> int:
            together.wait()
            return server_of(opened())

        with ThreadPoolExecutor(8) as pool:
            servers = {job.result() for job in [pool.submit(join) for _ in range(8)]}

        assert len(servers) == 1

    def test_processes_that_come_at_once_get_one_server(self, directory: Path, opened: Callable[[], Client]) -> None:
        users = [User(directory, str(number)) for number in range(6)]
        for user in users:
            user.go()
        servers = {user.server() for user in users}
        assert len(servers) == 1

        for number, user in enumerate(users):
            user.kill() if number % 2 else user.leave()
        wait_until_unused(directory)

        assert sorted(opened().lrange("users", 0, -1)) == [b"0", b"1", b"2", b"3", b"4", b"5"]

    def test_it_stays_for_those_who_remain(self, directory: Path, opened: Callable[[], Client]) -> None:
        first, second = User(directory, "first"), User(directory, "second")
        server = first.open()
        assert second.open() == server

        first.kill()
        client = opened()
        assert server_of(client) == server
        second.leave()

        assert server_of(client) == server
        assert client.lrange("users", 0, -1) == [b"first", b"second"]

    def test_a_forked_child_is_a_user_of_its_own(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        server = server_of(client)
        go_read, go_write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(go_write)
            os.read(go_read, 1)
            client.set("child", "was here")
            os._exit(0)
        os.close(go_read)
        release(client)
        assert not is_free(directory, "users.lock")

        os.close(go_write)

        assert os.waitpid(child, 0)[1] == 0
        wait_until_unused(directory)
        assert is_gone(server)
        assert opened().get("child") == b"was here"

    def test_processes_started_by_a_user_are_none(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        with subprocess.Popen(["sleep", "60"], close_fds=False) as other:
            release(client)
            wait_until_unused(directory)
            other.kill()


class TestAccidents:
    def test_a_killed_server_comes_back_with_its_data(self, opened: Callable[[], Client]) -> None:
        client = opened()
        client.set("key", "value")
        server = server_of(client)

        os.kill(server, signal.SIGKILL)

        again = opened()
        assert again.get("key") == b"value"
        assert server_of(client) == server_of(again) != server

    def test_signals_the_user_blocks_are_not_blocked_for_the_server(self, opened: Callable[[], Client]) -> None:
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
        try:
            server = server_of(opened())
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

        os.kill(server, signal.SIGKILL)

        assert server_of(opened()) != server

    def test_a_server_that_keeps_dying_is_given_up(self, directory: Path, opened: Callable[[], Client]) -> None:
        opened()
        kill_until_given_up(directory)

        assert "giving up" in (directory / "server.log").read_text()
        assert opened().ping()

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next opener stops the server")
    def test_a_killed_supervisor_takes_the_server_with_it(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        client.set("key", "value")
        server = server_of(client)

        os.kill(supervisor_of(server), signal.SIGKILL)

        wait_until(lambda: is_free(directory, "server.lock"))
        assert is_gone(server)
        again = opened()
        assert again.get("key") == b"value"
        assert server_of(client) == server_of(again) != server

    def test_a_supervisor_told_to_end_stops_the_server(self, directory: Path, opened: Callable[[], Client]) -> None:
        os.kill(supervisor_of(server_of(opened())), signal.SIGTERM)

        wait_until_unused(directory)

    def test_a_server_without_supervisor_is_replaced(self, directory: Path, opened: Callable[[], Client]) -> None:
        """As on macOS after a supervisor was killed: the server goes on, holding `server.lock`."""
        release(opened())
        wait_until_unused(directory)
        lock = open_lock(str(directory), "server.lock")
        assert try_lock(lock)
        options = ["--port", "0", "--unixsocket", f"{directory}/valkey.sock", "--dir", f"{directory}"]
        with subprocess.Popen(
            [embedded.find_binary(), *options, "--appendonly", "yes"], pass_fds=[lock], stdout=subprocess.DEVNULL
        ) as stray:
            os.close(lock)
            wait_until(lambda: probe(str(directory / "valkey.sock")) == "ready")
            with valkey.Valkey(unix_socket_path=str(directory / "valkey.sock")) as client:
                client.set("key", "value")

            client = opened()

            assert stray.wait() == 0
            assert server_of(client) != stray.pid
            assert client.get("key") == b"value"

    @pytest.mark.parametrize("milliseconds", [0, 5, 15, 30, 45, 60, 90])
    def test_an_opener_killed_on_the_way_harms_nobody(
        self, directory: Path, opened: Callable[[], Client], milliseconds: int
    ) -> None:
        victim, witness = User(directory), User(directory, "witness")
        victim.go()
        wait_until((directory / "start.lock").exists)
        threading.Event().wait(milliseconds / 1000)
        victim.kill()

        witness.open()
        witness.leave()

        wait_until_unused(directory)
        assert b"witness" in opened().lrange("users", 0, -1)

    def test_a_file_that_cannot_be_loaded_is_explained(self, directory: Path, opened: Callable[[], Client]) -> None:
        release(opened())
        wait_until_unused(directory)
        next((directory / "appendonlydir").glob("*.incr.aof")).write_bytes(b"*1\r\n$3\r\nnonsense\r\n" * 9)

        with pytest.raises(EmbeddedServerError, match="Error reading the append only file") as caught:
            opened()

        assert caught.value.directory == str(directory)


class TestRevival:
    """A log that is open goes on, whatever became of its server and supervisor."""

    @pytest.fixture
    def log(self, directory: Path) -> Iterator[SessionLog]:
        with SessionLog.connect(f"embedded://{directory}") as log:
            log.append("s", note(0))
            yield log
        wait_until_unused(directory)

    def test_an_open_log_outlives_its_supervisor(self, directory: Path, log: SessionLog) -> None:
        os.kill(supervisor_of(server_of(log.client)), signal.SIGKILL)
        wait_until(lambda: is_free(directory, "server.lock") or sys.platform != "linux")

        log.append("s", note(1))

        assert [one.event.data for one in log.read("s")] == [{"number": 0}, {"number": 1}]

    def test_an_open_log_outlives_a_supervisor_that_gave_up(self, directory: Path, log: SessionLog) -> None:
        kill_until_given_up(directory)

        log.append("s", note(1))

        assert log.state("s").revision == 2

    def test_threads_that_need_the_server_at_once_start_it_once(self, directory: Path, log: SessionLog) -> None:
        kill_until_given_up(directory)
        starts = (directory / "server.log").read_text().count("Ready to accept")

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: log.append("s", note(number)), range(1, 9)))

        assert log.state("s").revision == 9
        assert (directory / "server.log").read_text().count("Ready to accept") == starts + 1

    def test_a_forked_process_starts_it_again_too(self, directory: Path, log: SessionLog) -> None:
        kill_until_given_up(directory)
        if (child := os.fork()) == 0:
            code = 1
            with contextlib.suppress(BaseException):
                log.append("s", note(1))
                code = 0
            os._exit(code)

        assert os.waitpid(child, 0)[1] == 0
        assert log.state("s").revision == 2

    def test_a_tail_and_a_subscriber_go_on(self, directory: Path, log: SessionLog) -> None:
        with log.tail("s") as tail, log.tail(after="now") as feed:
            assert next(iter(tail)).event.data == {"number": 0}
            kill_until_given_up(directory)

            log.append("s", note(1))

            assert next(iter(tail)).event.data == {"number": 1}
            assert next(iter(feed)).id.revision == 2

    def test_a_server_that_cannot_start_again_is_explained(self, directory: Path) -> None:
        with SessionLog.connect(f"embedded://{directory}", retry_for=0.5) as log:
            log.append("s", note(0))
            kill_until_given_up(directory)
            broken = next((directory / "appendonlydir").glob("*.incr.aof"))
            content = broken.read_bytes()
            broken.write_bytes(b"*1\r\n$3\r\nnonsense\r\n" * 9)
            with pytest.raises(EmbeddedServerError, match="Error reading the append only file") as caught:
                log.state("s")
            assert caught.value.directory == str(directory)

            broken.write_bytes(content)
            wait_until(lambda: answers(log))
            assert log.state("s").revision == 1
        wait_until_unused(directory)

    def test_starts_that_fail_are_further_and_further_apart(self, directory: Path) -> None:
        with SessionLog.connect(f"embedded://{directory}", retry_for=3) as log:
            kill_until_given_up(directory)
            next((directory / "appendonlydir").glob("*.incr.aof")).write_bytes(b"*1\r\n$3\r\nnonsense\r\n" * 9)
            log_file = directory / "server.log"
            before = log_file.read_text().count("Error reading the append only file")
            with pytest.raises(EmbeddedServerError):
                log.state("s")
            assert 2 <= log_file.read_text().count("Error reading the append only file") - before <= 5
        wait_until_unused(directory)

    def test_data_that_is_gone_is_not_begun_anew_without_a_word(self, directory: Path) -> None:
        with SessionLog.connect(f"embedded://{directory}", retry_for=0.5) as log:
            log.append("s", note(0))
            server = server_of(log.client)
            shutil.rmtree(directory)
            os.kill(server, signal.SIGKILL)
            wait_until(lambda: is_gone(server))
            with pytest.raises(EmbeddedServerError, match="directory removed"):
                log.state("s")
        assert not directory.exists()


class TestPlaces:
    def test_a_directory_that_does_not_exist_is_made_private(self, directory: Path) -> None:
        place = directory / "mit Leer%zeichen und ümläut" / "log"
        client = connect(f"embedded://{place}".replace("%", "%25").replace(" ", "%20"))

        assert client.config_get("dir")["dir"] == str(place)
        assert stat.S_IMODE(place.stat().st_mode) == 0o700
        release(client)
        wait_until_unused(place)

    def test_a_path_too_long_for_a_socket(self, directory: Path) -> None:
        place = directory / ("long" * 30) / "log"
        first, second = connect(f"embedded://{place}"), connect(f"embedded://{place}")

        path = Path(first.config_get("unixsocket")["unixsocket"])
        assert path.parent.parent == Path(tempfile.gettempdir())
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert server_of(first) == server_of(second)

        release(first)
        release(second)
        wait_until_unused(place)
        assert not path.parent.exists()

    def test_the_socket_is_found_even_if_the_temporary_directory_differs(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = directory / ("long" * 30) / "log"
        first = connect(f"embedded://{place}")
        monkeypatch.setattr(tempfile, "tempdir", str(directory))

        second = connect(f"embedded://{place}")

        assert server_of(first) == server_of(second)
        release(first)
        release(second)
        wait_until_unused(place)

    def test_a_temporary_directory_too_long_for_a_socket(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        temporary = directory / ("long" * 30)
        temporary.mkdir(parents=True, mode=0o700)
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))

        client = connect("embedded:")

        place, path = (Path(client.config_get(name)[name]) for name in ("dir", "unixsocket"))
        assert place.parent == temporary
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        release(client)
        wait_until(lambda: not place.exists() and not path.parent.exists())

    def test_two_names_of_one_directory_are_one_server(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        alias = directory.parent / "alias"
        alias.symlink_to(directory)

        other = connect(f"embedded://{alias}")

        assert server_of(other) == server_of(client)
        release(other)

    def test_a_directory_others_may_write_to_is_refused(self, directory: Path) -> None:
        directory.mkdir()
        directory.chmod(0o770)

        with pytest.raises(EmbeddedServerError, match="chmod 700"):
            connect(f"embedded://{directory}")
        directory.rmdir()

    def test_a_file_is_no_directory(self, directory: Path) -> None:
        directory.write_text("")

        with pytest.raises(EmbeddedServerError, match="it exists, and is no directory"):
            connect(f"embedded://{directory}")
        directory.unlink()

    def test_a_directory_that_was_removed_meanwhile_is_made_again(
        self, directory: Path, opened: Callable[[], Client]
    ) -> None:
        client = opened()
        server = server_of(client)
        shutil.rmtree(directory)

        again = opened()
        assert server_of(again) != server

        release(client)
        wait_until(lambda: is_gone(server))
        assert again.ping()

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows who waits for a lock")
    def test_a_directory_removed_while_somebody_waits_for_it_is_made_again(
        self, directory: Path, opened: Callable[[], Client]
    ) -> None:
        """A supervisor removes a temporary directory while it holds `users.lock`; here the test is the supervisor."""
        directory.mkdir(mode=0o700)
        lock = open_lock(str(directory), "users.lock")
        assert try_lock(lock)
        waiting = f":{os.fstat(lock).st_ino} "
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(opened)
            locks = Path("/proc/locks")
            wait_until(lambda: any("->" in line and waiting in line for line in locks.read_text().splitlines()))
            directory.rename(directory.parent / "removed")
            os.close(lock)

            assert opening.result().config_get("dir")["dir"] == str(directory)
        assert not (directory.parent / "removed" / "supervisor.lock").exists()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


class TestOthers:
    """What another user may have prepared: nothing of it is opened, waited for, shown or written to."""

    @pytest.fixture
    def kept(self, directory: Path, opened: Callable[[], Client]) -> Path:
        """A directory with a server's data, which nobody uses now."""
        client = opened()
        client.set("key", "value")
        release(client)
        wait_until_unused(directory)
        return directory

    @pytest.fixture
    def refused(self) -> Callable[[Path, str], None]:
        def refused(directory: Path, why: str) -> None:
            begun = time.monotonic()
            with pytest.raises(EmbeddedServerError, match=why) as caught:
                connect(f"embedded://{directory}")
            assert time.monotonic() - begun < 5
            assert SECRET not in str(caught.value)
            assert "Traceback" not in str(caught.value)

        return refused

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
    @pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
    def test_a_directory_of_another_user_is_refused_to_root_too(
        self, directory: Path, refused: Callable[[Path, str], None], mode: int
    ) -> None:
        directory.mkdir()
        directory.chmod(mode)
        os.chown(directory, OTHER, OTHER)
        refused(directory, rf"it belongs to another user \(uid {OTHER}\); run as that user")
        assert list(directory.iterdir()) == []
        directory.rmdir()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root owns it")
    def test_a_directory_of_root_is_refused(self, refused: Callable[[Path, str], None]) -> None:
        refused(Path("/usr"), "it belongs to another user")

    @pytest.mark.parametrize("name", ["users.lock", "start.lock", "supervisor.lock", "server.lock", "server.log"])
    def test_a_link_in_place_of_a_file_is_refused_and_its_target_neither_shown_nor_cut(
        self, kept: Path, refused: Callable[[Path, str], None], name: str
    ) -> None:
        target = kept.parent / "target"
        for make in (Path.symlink_to, Path.hardlink_to):
            target.write_text(SECRET)
            (kept / name).unlink()
            make(kept / name, target)
            refused(kept, f"{name} in it is a (symbolic|hard) link")
            assert target.read_text() == SECRET
            assert not servers_in(kept)
        (kept / name).unlink()

    @pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, make_socket])
    @pytest.mark.parametrize("name", ["users.lock", "supervisor.lock", "server.log"])
    def test_what_is_no_file_is_refused_and_not_waited_for(
        self, kept: Path, refused: Callable[[Path, str], None], make: Callable[[Path], None], name: str
    ) -> None:
        (kept / name).unlink()
        make(kept / name)
        refused(kept, f"{name} in it is no file")
        (kept / name).rmdir() if (kept / name).is_dir() else (kept / name).unlink()

    @pytest.mark.parametrize("name", ["appendonlydir", "appendonlydir/appendonly.aof.manifest", "valkey.sock"])
    def test_data_that_a_link_leads_to_is_not_written_to(
        self, kept: Path, refused: Callable[[Path, str], None], name: str
    ) -> None:
        path, elsewhere = kept / name, kept.parent / "elsewhere"
        path.rename(elsewhere) if path.exists() else elsewhere.write_text(SECRET)
        before = contents(elsewhere)
        path.symlink_to(elsewhere)
        refused(kept, f"{path.name} in it is a symbolic link, which is not followed; remove it")
        assert contents(elsewhere) == before
        path.unlink()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    @pytest.mark.parametrize("name", ["users.lock", "supervisor.lock", "server.log", "appendonlydir"])
    def test_a_file_of_another_user_is_refused(
        self, kept: Path, refused: Callable[[Path, str], None], name: str
    ) -> None:
        """It holds what that user writes there: of a lock, the path of a socket, to which all would be told."""
        os.chown(kept / name, OTHER, OTHER)
        refused(kept, rf"{name} in it belongs to another user \(uid {OTHER}\); remove it")
        os.chown(kept / name, 0, 0)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
    def test_a_link_of_another_user_on_the_way_is_not_followed(
        self, kept: Path, refused: Callable[[Path, str], None]
    ) -> None:
        alias, chain = kept.parent / "alias", kept.parent / "chain"
        alias.symlink_to(kept)
        chain.symlink_to(alias)
        os.chown(alias, OTHER, OTHER, follow_symlinks=False)
        for path in (alias, chain, alias / "below"):
            refused(path, rf"alias is a link of another user \(uid {OTHER}\)")

    def test_links_that_lead_in_a_circle_are_told_of(
        self, directory: Path, refused: Callable[[Path, str], None]
    ) -> None:
        directory.symlink_to("log")
        refused(directory, "(?i)symlink loop|symbolic link|exists")
        directory.unlink()

    def test_a_directory_that_becomes_a_link_is_not_followed_by_those_who_come_back(
        self, directory: Path, opened: Callable[[], Client]
    ) -> None:
        """The server goes on where it was; what comes under its name later is not looked into."""
        client = opened()
        server, elsewhere = server_of(client), directory.parent / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        directory.rename(directory.parent / "moved")
        directory.symlink_to(elsewhere)
        client.set("key", "value")
        client.bgrewriteaof()
        wait_until(lambda: not client.info("persistence")["aof_rewrite_in_progress"])
        assert list(elsewhere.iterdir()) == []

        os.kill(server, signal.SIGKILL)
        wait_until(lambda: is_gone(server))
        with pytest.raises(errors.ServerUnavailableError):
            SessionLog(client, retry_for=0).append("s", note(0))
        assert list(elsewhere.iterdir()) == []
        directory.unlink()
        release(client)
        wait_until(lambda: not servers_in(directory))

    @pytest.mark.skipif(os.geteuid() != 0 or not hasattr(socket, "SO_PEERCRED"), reason="only root can become another")
    def test_nothing_is_told_to_a_server_of_another_user(self, directory: Path, opened: Callable[[], Client]) -> None:
        client = opened()
        client.ping()
        client.connection_pool.disconnect()
        path = directory / "valkey.sock"
        path.rename(directory / "aside")
        listening, begun = os.pipe()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            if (child := os.fork()) == 0:
                os.setuid(OTHER)
                listener.listen()
                os.write(begun, b"!")
                asking, _ = listener.accept()
                os._exit(len(asking.recv(100)))
            os.read(listening, 1)
            with pytest.raises(EmbeddedServerError, match=rf"another user \(uid {OTHER}\) answers at {path}"):
                client.get("key")
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        os.close(listening)
        os.close(begun)
        (directory / "aside").rename(path)


class TestBinaries:
    def test_without_a_server_the_extra_is_named(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "find_spec", lambda _: None)
        monkeypatch.setenv("PATH", str(directory))

        with pytest.raises(MissingExtraError, match=r"strands-session-log\[embedded\]"):
            connect(f"embedded://{directory}")

    @pytest.mark.parametrize("name", ["valkey-server", "redis-server"])
    def test_an_installed_server_will_do(
        self, name: str, directory: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[], Client]
    ) -> None:
        installed = shutil.which(name)
        if installed is None:
            pytest.skip(f"{name} is not installed")
        bin_directory = directory.parent / "bin"
        bin_directory.mkdir()
        (bin_directory / name).symlink_to(installed)
        monkeypatch.setattr(embedded, "find_spec", lambda _: None)
        monkeypatch.setenv("PATH", str(bin_directory))

        client = opened()

        assert Path(client.info("server")["executable"]).name.startswith(name.partition("-")[0])
        release(client)


def test_a_socket_nobody_answers_at_is_no_server(directory: Path) -> None:
    directory.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(directory / "valkey.sock"))
        assert probe(str(directory / "valkey.sock")) == "gone"
    (directory / "valkey.sock").unlink()


def test_a_directory_named_from_where_the_program_is_stays_the_one_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SessionLog.connect("embedded:///./sessions") as log:
        monkeypatch.chdir("/")
        log.append("s", events.Custom("custom.note", {}))
    with SessionLog.connect(f"embedded://{tmp_path}/sessions") as log:
        assert [*log.session_ids()] == ["s"]
