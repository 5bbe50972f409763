"""The server: how to reach it, how to have one of one's own, and whether it is fit to keep a log.

Everything above goes in and out here: `Store` is the doorway.
"""

from __future__ import annotations

from .advice import Finding, advice
from .blocking_connection import BlockingConnection
from .checks import ServerReport, check, inspect, inspect_all
from .clients import AnyClient, connect
from .durability import Durability
from .errors import ANSWERED_WITHIN, is_transient, may_have_written
from .fitness import take
from .leases import release
from .outage import Outage
from .replies import number, pairs, record, text
from .routing import Client, source_of
from .script import Argument, Call, LuaScript
from .store import Command, ScriptCall, Store
from .urls import SCHEMES, key_file_of, key_store_of, masked, subject_key_file_of
from .urls import parse as parse_url

__all__ = [
    "ANSWERED_WITHIN",
    "SCHEMES",
    "AnyClient",
    "Argument",
    "BlockingConnection",
    "Call",
    "Client",
    "Command",
    "Durability",
    "Finding",
    "LuaScript",
    "Outage",
    "ScriptCall",
    "ServerReport",
    "Store",
    "advice",
    "check",
    "connect",
    "inspect",
    "inspect_all",
    "is_transient",
    "key_file_of",
    "key_store_of",
    "masked",
    "may_have_written",
    "number",
    "pairs",
    "parse_url",
    "record",
    "release",
    "source_of",
    "subject_key_file_of",
    "take",
    "text",
]
