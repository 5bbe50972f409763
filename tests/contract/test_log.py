"""The log's contract on the server chosen with `--server`, with every kind of client that users bring."""

from collections.abc import Callable, Iterator

import pytest
import valkey

from strands_session_log import SessionLog
from strands_session_log.testing.contract import LogContract

ALIKE = pytest.mark.exhaustive
"""What sets this client apart, one of the default run has, too: with something else, or where it matters more."""


class TestLogOfPlainClient(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(), namespace)  # type: ignore[arg-type]


@ALIKE
class TestLogOfDecodingClient(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(decode_responses=True), namespace)  # type: ignore[arg-type]


@ALIKE
class TestLogOfResp3Client(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(protocol=3), namespace)  # type: ignore[arg-type]


class TestLogOfDecodingResp3Client(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(protocol=3, decode_responses=True), namespace)  # type: ignore[arg-type]


class TestLogThatCompresses(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(), namespace, compress="zstd")  # type: ignore[arg-type]


def fewest_connections(server_url: str) -> int:
    """A tail of all sessions holds one; in a cluster, which cannot read several slots at once, one a partition."""
    return 18 if "+cluster" in server_url else 2


def encoded(server_url: str, encoding: str) -> str:
    """Clients of a cluster look for nodes with their encoding, so others than UTF-8 are refused there."""
    return "utf-8" if "+cluster" in server_url else encoding


class TestLogOfPoolOfTwo(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], server_url: str, namespace: str) -> SessionLog:
        return SessionLog(make_client(max_connections=fewest_connections(server_url)), namespace)  # type: ignore[arg-type]


@ALIKE
class TestLogOfBlockingPoolOfTwo(LogContract):
    """Who needs a third connection waits for one."""

    @pytest.fixture
    def log(self, make_client: Callable[..., object], server_url: str, namespace: str) -> Iterator[SessionLog]:
        if "+" in server_url:
            # Clients of clusters and sentinels choose their pools themselves.
            yield SessionLog(make_client(max_connections=fewest_connections(server_url)), namespace)  # type: ignore[arg-type]
            return
        pool = valkey.BlockingConnectionPool.from_url(server_url, max_connections=2)
        yield SessionLog(valkey.Valkey(connection_pool=pool), namespace)
        pool.disconnect()


@ALIKE
class TestLogOfClientThatDecodesAnotherEncoding(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], server_url: str, namespace: str) -> SessionLog:
        encoding = encoded(server_url, "latin-1")
        return SessionLog(make_client(encoding=encoding, decode_responses=True), namespace)  # type: ignore[arg-type]


class TestLogOfClientWithWideEncoding(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], server_url: str, namespace: str) -> SessionLog:
        return SessionLog(make_client(encoding=encoded(server_url, "utf-16")), namespace)  # type: ignore[arg-type]
