"""How runs are held, and followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from strands_session_log.errors import check_choice, check_seconds, check_whole

OnBusy: TypeAlias = Literal["refuse", "queue"]


@dataclass(frozen=True)
class AguiSettings:
    """How runs are held, and followed.

    Attributes:
        agent_id: Which agent of a session is shown.
        lease: After how many seconds without a sign of life a worker counts as gone.
        on_busy: What becomes of a run of a thread that has one: `refuse` it, or `queue` it.
        queue: For how many seconds it is queued at most.
        heartbeat: After how many seconds followers to whom nothing is said are sent a comment.
        kept: How many frames a follower may be behind; then it is cut off, and comes again.
        kept_bytes: How many bytes of frames of a thread are kept for that.
        most_bytes: How long the body of a request may be.
        most_runs: How many runs this process has at a time.
        most_followers: How many followers it has at a time.
        grace: For how many seconds runs may go on when the process ends; then they are stopped.
        longest_run: After how many seconds a run is stopped. One that has not ended `grace` later, as a tool blocks, is
            given up: its thread may go on with another run.
    """

    agent_id: str = "default"
    lease: float = 15.0
    on_busy: OnBusy = "refuse"
    queue: float = 30.0
    heartbeat: float = 15.0
    kept: int = 4096
    kept_bytes: int = 4_000_000
    most_bytes: int = 20_000_000
    most_runs: int = 100
    most_followers: int = 1000
    grace: float = 10.0
    longest_run: float = 86_400.0

    def __post_init__(self) -> None:
        """Refuse what cannot be.

        Raises:
            ValueError: When a setting is none.
        """
        for name, least in (("lease", 0.1), ("heartbeat", 0.01), ("queue", 0.0), ("grace", 0.0), ("longest_run", 0.1)):
            check_seconds(name, getattr(self, name), least)
        for name in ("kept", "kept_bytes", "most_bytes", "most_runs", "most_followers"):
            check_whole(name, getattr(self, name), 1)
        check_choice("on_busy", self.on_busy, get_args(OnBusy))
