"""The dashboard of how the log, its readers and its server are."""

from __future__ import annotations

from panels import Annotation, Panel, Row, Variable
from queries import PREFIX, once, percentiles, quantile, rate, share_of, started

VARIABLES = (Variable("group", f"label_values({PREFIX}_group_lag_events, group)"),)
ABOUT = "How the log is: consumer groups, writers, readers, the server. Writers need `instrument_with_prometheus()`."
ANNOTATIONS = (
    Annotation("Deploy", "deploy", color="purple"),
    Annotation("Process started", started(), "{{job}} {{instance}}", "blue", at_value=True),
)

_GOOD = {1: ("yes", "green"), 0: ("no", "red")}
_BAD = {1: ("yes", "red"), 0: ("no", "green")}
_APPENDS, _RESUMES = "append_duration_seconds_count", "resume_duration_seconds_count"


def _group(metric: str) -> str:
    return f'{PREFIX}_group_{metric}{{group=~"$group"}}'


def _by_group(metric: str, take: str = "sum") -> dict[str, str]:
    return {"{{group}}": f"{take} by (group) ({once(_group(metric))})"}


def _by_node(metric: str, take: str = "max") -> str:
    return f"{take} by (node) ({PREFIX}_server_{metric})"


_REDELIVERED = f"rate({_group('redeliveries_total')}[$__rate_interval])"

NOW = [
    Panel(
        "Server answers",
        {"": f"min({PREFIX}_up)"},
        kind="stat",
        width=4,
        about="Whether any exporter reached the server lately.",
        limits=[(0, "red"), (1, "green")],
        words=_GOOD,
    ),
    Panel(
        "Oldest unhandled event",
        {"": f"max({_group('lag_seconds')})"},
        "s",
        kind="stat",
        width=4,
        about="How far the slowest of the groups chosen above is behind.",
        limits=[(60, "yellow"), (300, "red")],
    ),
    Panel(
        "Parked",
        {"": f"sum({once(_group('parked_events'))})"},
        kind="stat",
        width=4,
        about="Events that failed too often; `session-log parked list GROUP` tells why.",
        limits=[(1, "red")],
    ),
    Panel(
        "Appends that failed",
        {"": share_of(rate(_APPENDS, where='outcome!~"ok|conflict|invalid"'), rate(_APPENDS))},
        "percentunit",
        kind="stat",
        width=4,
        about="Of writers that are instrumented; conflicts and values that cannot be stored are no failures.",
        limits=[(0.001, "yellow"), (0.01, "red")],
    ),
    Panel(
        "Survives a restart",
        {"": f"min({PREFIX}_server_persistent)"},
        kind="stat",
        width=4,
        about="Whether the server writes to its disk; `session-log doctor` tells how to have it.",
        limits=[(0, "red"), (1, "green")],
        words=_GOOD,
    ),
    Panel(
        "May evict sessions",
        {"": f"max({PREFIX}_server_evicts_sessions)"},
        kind="stat",
        width=4,
        about="Whether the server may delete sessions when memory runs out: its maxmemory-policy should be noeviction.",
        limits=[(1, "red")],
        words=_BAD,
    ),
]

GROUPS = [
    Panel("Lag in events", _by_group("lag_events"), about="Events that a group has not been given yet."),
    Panel("Lag in time", _by_group("lag_seconds", "max"), "s", about="Age of the oldest event that is not handled."),
    Panel(
        "Lag by partition",
        {"{{group}}/{{partition}}": once(_group("lag_events"))},
        about="One that grows alone: its consumer hangs, or a session there is busier than all others.",
    ),
    Panel("Pending", _by_group("pending_events"), about="Given to a consumer and not settled."),
    Panel(
        "Redeliveries",
        {"{{group}}": f"sum by (group) ({once(_REDELIVERED)})"},
        "cps",
        about="Events given once more, since a consumer failed, or went away without settling them.",
    ),
    Panel("Parked", _by_group("parked_events"), about="Failed too often, and were put aside with their error."),
    Panel("Consumers", _by_group("consumers", "max"), about="Consumers that a group knows, idle ones included."),
    Panel("Given up", _by_group("abandoned", "max"), about="1 where the feed is not kept for a group any more."),
    Panel(
        "Newest event counted",
        {"ago": f"time() - max({PREFIX}_newest_event_timestamp_seconds > 0)"},
        "s",
        about="Its age grows while no agent does anything, or the exporter counts nothing.",
    ),
]

WRITERS = [
    Panel(
        "Appends by outcome",
        {"{{outcome}}": rate(_APPENDS, "outcome")},
        "cps",
        about="`conflict`: another process wrote to the same agent; `unknown`: no answer came in time.",
        stacked=True,
    ),
    Panel(
        "Duration of an append",
        percentiles("append_duration_seconds", 'outcome="ok"'),
        "s",
        about="With the way to the server and back, retries, and what `durability` waits for.",
    ),
    Panel(
        "Conflicts, retries, repairs",
        {
            "conflicts": rate("append_conflicts_total"),
            "rechained": rate("append_rechained_total"),
            "retries": rate("retries_total"),
            "repairs": rate("repairs_total"),
        },
        "cps",
        about="Rechained: the session had moved, which cost another round trip.",
    ),
    Panel(
        "Events appended",
        {"events": rate("appended_events_total")},
        "cps",
        about="By writers that are instrumented.",
        width=12,
    ),
    Panel(
        "Bytes appended",
        {"appended": rate("appended_bytes_total")},
        "Bps",
        about="As they are stored: compressed and encrypted, where that is chosen.",
        width=12,
    ),
]

READERS = [
    Panel(
        "Resuming, 95 %",
        {"{{snapshot}}": quantile(0.95, "resume_duration_seconds", "snapshot")},
        "s",
        about="What 95 of 100 resumes stay below, by what they found of a snapshot.",
    ),
    Panel(
        "Snapshot hits",
        {"hits": share_of(rate(_RESUMES, where='snapshot="hit"'), rate(_RESUMES))},
        "percentunit",
        about="Resumes that could begin with a snapshot; new and short sessions have none.",
    ),
    Panel(
        "Events folded per resume",
        {"events": f"{rate('resume_folded_events_total')} / {rate(_RESUMES)}"},
        about="What was appended since the snapshot; many make a resume slow.",
    ),
    Panel(
        "Bytes",
        {
            "read": rate("read_bytes_total"),
            "resumed": rate("resume_bytes_total"),
            "snapshots saved": rate("snapshots_saved_bytes_total"),
        },
        "Bps",
        about="What instrumented processes read from the server, and save there of snapshots.",
    ),
    Panel(
        "Reading a page",
        percentiles("read_duration_seconds"),
        "s",
        about="Of the transcript, by `log.read` and what builds on it.",
    ),
    Panel(
        "Deliveries",
        {
            "{{group}}: all": rate("deliveries_total", "group"),
            "{{group}}: again": rate("redeliveries_total", "group"),
            "{{group}}: lost": rate("lost_deliveries_total", "group"),
        },
        "cps",
        about="Of consumers that are instrumented.",
    ),
    Panel(
        "Waiting for the server",
        {"{{follower}}": f"sum by (follower) ({PREFIX}_followers_waiting)"},
        about="Subscriptions, tails and recorders that are instrumented; their logs say why.",
    ),
]

FORWARDER = [
    Panel(
        "Webhooks by outcome",
        {"{{outcome}}": rate("forward_events_total", "outcome")},
        "cps",
        about="`failed` are tried again; how far behind a forwarder is, and what it parked, its group tells above.",
        stacked=True,
    ),
    Panel(
        "Answers of receivers",
        {"{{verdict}}": rate("forward_answers_total", "verdict")},
        "cps",
        about="`away`: it takes nothing for now, and is waited for; `refused`: it does not want this event.",
        stacked=True,
    ),
    Panel("Time receivers take", percentiles("forward_answer_seconds"), "s", about="Until the whole answer is there."),
    Panel(
        "Receivers that take nothing",
        {"{{job}} {{instance}}": f"{PREFIX}_forward_receiver_away"},
        about="1 where the receiver is away: nothing is lost, and the group falls behind.",
        width=12,
    ),
    Panel(
        "Receiver last took an event",
        {"{{job}} {{instance}} ago": f"time() - ({PREFIX}_forward_last_success_timestamp_seconds > 0)"},
        "s",
        about="Its age grows while nothing happens, too.",
        width=12,
    ),
]

INDEX = [
    Panel(
        "Index is behind",
        {"{{job}} {{instance}}": f"time() - ({PREFIX}_index_last_success_timestamp_seconds > 0)"},
        "s",
        about="Below a second while `session-log index` is in step; it grows while the index is filled, too.",
    ),
    Panel(
        "Messages indexed",
        {"messages": rate("index_messages_total"), "sessions removed": rate("index_removed_sessions_total")},
        "cps",
        about="Added to the search index, and sessions that went from it as they were deleted.",
    ),
    Panel(
        "Indexing stopped",
        {"stopped": rate("index_troubles_total")},
        "cps",
        about="And was tried again: the server, the database or the disk does not take part; its log says why.",
    ),
    Panel(
        "Removed, and not gone yet",
        {"{{job}} {{instance}}": f"{PREFIX}_index_unscrubbed"},
        about="1 while something that was erased or deleted still stands where the index is kept.",
        width=12,
    ),
    Panel(
        "Sessions not indexed wholly",
        {"{{job}} {{instance}}": f"{PREFIX}_index_unreadable_sessions"},
        about="As something in them cannot be read; `session-log verify --all` tells what.",
        width=12,
    ),
]

SERVER = [
    Panel(
        "Memory",
        {"used {{node}}": _by_node("used_memory_bytes"), "maxmemory {{node}}": _by_node("max_memory_bytes")},
        "bytes",
        about="At maxmemory the server refuses appends; 0 is no limit.",
    ),
    Panel(
        "Memory used of what it may",
        {"{{node}}": f"{_by_node('used_memory_bytes')} / ({_by_node('max_memory_bytes')} > 0)"},
        "percentunit",
        about="Empty where maxmemory is not set.",
        limits=[(0.8, "yellow"), (0.9, "red")],
    ),
    Panel(
        "Disk and replicas",
        {
            "append-only file {{node}}": _by_node("append_only_file", "min"),
            "last write ok {{node}}": _by_node("last_save_ok", "min"),
            "replicas {{node}}": _by_node("replicas"),
        },
        about="1 is yes and 0 is no, but for the number of replicas that are connected.",
    ),
]

ROWS = (
    Row("Now", NOW),
    Row("Consumer groups", GROUPS),
    Row("Writers", WRITERS),
    Row("Readers", READERS),
    Row("Forwarder", FORWARDER),
    Row("Search index", INDEX),
    Row("Server", SERVER),
)
