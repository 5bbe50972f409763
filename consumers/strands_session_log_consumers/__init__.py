"""Services that follow the log, built on the public API of `strands_session_log` only; each has an extra of its own."""
