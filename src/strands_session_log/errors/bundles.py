"""What keeps a bundle from being read, or brought back."""

from __future__ import annotations

from .base import SessionLogError


class BundleError(SessionLogError, ValueError):
    """A file is no evidence bundle, or damaged so that nothing can be said of its content.

    Attributes:
        code: What kind of trouble it is, for programs, see docs/bundle.md.
        problem: What it is.
    """

    def __init__(self, code: str, problem: str) -> None:
        self.code, self.problem = code, problem
        super().__init__(f"it is no bundle that can be read: {problem}")


class BundleNotIntactError(SessionLogError):
    """A bundle is not what was written; nothing of it was brought back.

    Attributes:
        problem: The first thing that is wrong with it, and where; `verify_bundle` tells all.
        session_id: The session that it is about; empty where it is about the file.
        revision: The event that it is about; None where it is about none.
    """

    def __init__(self, problem: str, session_id: str = "", revision: int | None = None) -> None:
        self.problem, self.session_id, self.revision = problem, session_id, revision
        whose = f"session {session_id!r}: " if session_id else ""
        super().__init__(
            f"the bundle is not what was written, so nothing was imported: {whose}{problem}. `session-log verify` of "
            "the file tells all that is wrong; import an intact copy"
        )


class ImportRefusedError(SessionLogError):
    """A session of a bundle may not be brought back; nothing of the bundle was.

    Attributes:
        session_id: The session.
        reason: Why, with what can be done about it.
    """

    def __init__(self, session_id: str, reason: str) -> None:
        self.session_id, self.reason = session_id, reason
        super().__init__(f"session {session_id!r} was not imported: {reason}")


class BundleTooLargeError(SessionLogError):
    """There are more sessions than a bundle can hold, since its list is read as a whole.

    Attributes:
        most: How many it can hold.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(
            f"a bundle holds {most:,} sessions, and there are more: write it to a file, beside which further ones go; "
            "or name those of each of several bundles"
        )
