"""What a witness is to do."""

from __future__ import annotations

from typing import NamedTuple


class WitnessSettings(NamedTuple):
    """What a witness is to do.

    Attributes:
        every: Seconds between the beginnings of two rounds.
        check: How many sealed records are held against the sessions in a round; 0 for all.
        authority: URL of a time stamping authority (RFC 3161); empty for none.
        roots: File with the certificates, in PEM, that its own must lead to; empty to take any.
        host: Address that the metrics are served on.
        port: Port, 0 for any; None to serve none.
    """

    every: float = 60.0
    check: int = 10_000
    authority: str = ""
    roots: str = ""
    host: str = "127.0.0.1"
    port: int | None = None
