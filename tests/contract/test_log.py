"""The log's contract on the server chosen with `--server`, with a client that decodes replies and one that does not."""

from collections.abc import Callable

import pytest

from strands_session_log import SessionLog
from strands_session_log.testing.contract import LogContract


class TestLogOfPlainClient(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(), namespace)  # type: ignore[arg-type]


class TestLogOfDecodingClient(LogContract):
    @pytest.fixture
    def log(self, make_client: Callable[..., object], namespace: str) -> SessionLog:
        return SessionLog(make_client(decode_responses=True), namespace)  # type: ignore[arg-type]
