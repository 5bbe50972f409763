"""The dashboard of what agents do."""

from __future__ import annotations

from panels import Annotation, Panel, Row, Variable
from queries import (
    PREFIX,
    cost,
    first_used,
    in_the_last,
    mean,
    percentiles,
    quantile,
    rate,
    share_of,
    started,
    tokens_without_price,
    within_range,
)

VARIABLES = (Variable("agent", f"label_values({PREFIX}_events_total, agent)"),)
ABOUT = "What the agents do: conversations, tokens, models, tools. From `session-log serve-metrics`."

_OF = 'agent=~"$agent"'
ANNOTATIONS = (
    Annotation("Deploy", "deploy", color="purple"),
    Annotation("Process started", started(), "{{job}} {{instance}}", "blue", at_value=True),
    Annotation("Model changed", first_used(_OF), "{{agent}} uses {{model}}", "orange"),
)

_FAILED = f'{_OF}, outcome="failed"'
_CUT_SHORT = f'{_OF}, outcome=~"failed|cancelled|content_filtered|guardrail_intervened|max_tokens|limit_.*"'
_LIMITS = [(0.01, "yellow"), (0.05, "red")]
_SHOWN = "In the time range shown."

NOW = [
    Panel(
        "Active sessions",
        {"": f"max({PREFIX}_active_sessions)"},
        kind="stat",
        width=4,
        about="Sessions that had an event in the last five minutes.",
    ),
    Panel("Messages", {"": within_range("messages_total", where=_OF)}, kind="stat", width=4, about=_SHOWN, counts=True),
    Panel("Tokens", {"": within_range("tokens_total", where=_OF)}, kind="stat", width=4, about=_SHOWN, counts=True),
    Panel(
        "Invocations that failed",
        {"": share_of(within_range("invocations_total", where=_FAILED), within_range("invocations_total", where=_OF))},
        "percentunit",
        kind="stat",
        width=4,
        about=_SHOWN,
        limits=_LIMITS,
    ),
    Panel(
        "Invocation, 95 %",
        {"": quantile(0.95, "invocation_duration_seconds", where=_OF)},
        "s",
        kind="stat",
        width=4,
        about="What 95 of 100 invocations stay below.",
    ),
    Panel(
        "Newest event",
        {"": f"time() - max({PREFIX}_newest_event_timestamp_seconds > 0)"},
        "s",
        kind="stat",
        width=4,
        about="How long ago the newest event that was counted was appended.",
    ),
]

CONVERSATIONS = [
    Panel(
        "Messages by role",
        {"{{role}}": rate("messages_total", "role", _OF)},
        "cps",
        about="A second. Results of tools are messages of the user.",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Invocations by outcome",
        {"{{outcome}}": rate("invocations_total", "outcome", _OF)},
        "cps",
        stacked=True,
        about="Strands' stop reason; `failed` where the call raised, `cancelled` where it was given up.",
        counts=True,
    ),
    Panel(
        "Duration of invocations",
        percentiles("invocation_duration_seconds", _OF),
        "s",
        about="From the prompt to the answer, with all its model and tool calls.",
    ),
    Panel(
        "Invocations by agent",
        {"{{agent}}": rate("invocations_total", "agent", _OF)},
        "cps",
        about="Calls of an agent that have ended, a second.",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Cut short",
        {"{{agent}}: {{outcome}}": rate("invocations_total", "agent, outcome", _CUT_SHORT)},
        "cps",
        about="That failed, were given up or filtered, or reached a limit: `session-log sessions --failed`.",
        counts=True,
    ),
    Panel(
        "Sessions created",
        {"{{type}}": in_the_last("1h", "events_total", "type", 'type=~"session.created|session.forked"')},
        about="In the hour before each point, of all agents; `session-log sessions` lists them.",
        counts=True,
    ),
    Panel(
        "Invocations that have not ended",
        {"{{agent}}": f"agent:{PREFIX}_invocations_unended:increase6h{{{_OF}}}"},
        about="Of those that began in the six hours before: at work still, or their process was killed.",
        counts=True,
    ),
    Panel(
        "Events by type",
        {"{{type}}": rate("events_total", "type", _OF)},
        "cps",
        about="All that is appended, a second.",
        stacked=True,
        counts=True,
    ),
]

MODELS = [
    Panel(
        "Tokens by kind",
        {"{{kind}}": rate("tokens_total", "kind", _OF)},
        "cps",
        width=6,
        stacked=True,
        about="A second. Whether `input` includes what came from the cache is the provider's choice.",
        counts=True,
    ),
    Panel(
        "Tokens by agent",
        {"{{agent}}": rate("tokens_total", "agent", _OF)},
        "cps",
        width=6,
        about="A second, of all kinds together.",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Latency the provider reports",
        percentiles("model_latency_seconds", _OF),
        "s",
        width=6,
        about="Without the network; empty where a provider reports none.",
    ),
    Panel(
        "Model calls by outcome",
        {"{{outcome}}": rate("model_calls_total", "outcome", _OF)},
        "cps",
        width=6,
        stacked=True,
        about="`discarded` are answers that a hook did not accept and asked for again.",
        counts=True,
    ),
    Panel(
        "Duration of model calls",
        percentiles("model_call_duration_seconds", _OF),
        "s",
        width=6,
        about="As the agent saw them: with streaming, the driver's retries, and the network.",
    ),
    Panel(
        "Model calls per invocation",
        {"{{agent}}": f"{rate('model_calls_total', 'agent', _OF)} / {rate('invocations_total', 'agent', _OF)}"},
        width=6,
        about="Many: an agent goes round in circles with its tools.",
    ),
    Panel(
        "Guardrail redactions",
        {"{{agent}}": rate("redactions_total", "agent", _OF)},
        "cps",
        width=6,
        about="Messages that were replaced, a second.",
        counts=True,
    ),
    Panel(
        "Lost by recorders",
        {"{{agent}}": rate("recording_lost_events_total", "agent", _OF)},
        "cps",
        width=6,
        about="Events that a `SessionRecorder` gave up; `recording.gap` tells where and why.",
        counts=True,
    ),
]

_AS_LISTED = "In dollars, at the prices that `costs.yml` was made of; models that have none there are left out."

COSTS = [
    Panel(
        "Cost",
        {"": cost("$__range", "", _OF)},
        "currencyUSD",
        kind="stat",
        width=4,
        about=f"{_SHOWN} {_AS_LISTED}",
        counts=True,
    ),
    Panel(
        "Cost in 24 hours, by model",
        {"{{model}}": cost("1d", "model", _OF)},
        "currencyUSD",
        width=10,
        about=f"Each point is the day before it. {_AS_LISTED}",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Cost in 24 hours, by agent",
        {"{{agent}}": cost("1d", "agent", _OF)},
        "currencyUSD",
        width=10,
        about=f"Each point is the day before it. {_AS_LISTED}",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Cost an hour",
        {"{{agent}}: {{model}}": f"3600 * agent:{PREFIX}_cost_dollars:rate5m{{{_OF}}}"},
        "currencyUSD",
        about=f"As the last five minutes were. {_AS_LISTED}",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Dearest agents and models",
        {"{{agent}}: {{model}}": f"topk(10, {cost('$__range', 'agent, model', _OF)})"},
        "currencyUSD",
        kind="bargauge",
        about=f"{_SHOWN} {_AS_LISTED}",
        counts=True,
    ),
    Panel(
        "Tokens without a price",
        {"{{model}}": f"topk(10, {tokens_without_price('$__range', _OF)})"},
        kind="bargauge",
        about=f"{_SHOWN} Of models that have no price: no cost above contains them.",
        counts=True,
    ),
]

TOOLS = [
    Panel(
        "Tool calls",
        {"{{tool}}": rate("tool_calls_total", "tool")},
        "cps",
        about="Calls that have ended, a second.",
        stacked=True,
        counts=True,
    ),
    Panel(
        "Tool calls that failed",
        {"{{tool}}: {{status}}": rate("tool_calls_total", "tool, status", 'status!="success"')},
        "cps",
        about="Whose result was an error, or that were given up; `session-log why SESSION` has the error.",
        counts=True,
    ),
    Panel(
        "Duration of tool calls, 95 %",
        {"{{tool}}": quantile(0.95, "tool_call_duration_seconds", "tool")},
        "s",
        about="What 95 of 100 calls of each tool stay below.",
    ),
    Panel(
        "Most used tools",
        {"{{tool}}": f"topk(10, {within_range('tool_calls_total', 'tool')})"},
        kind="bargauge",
        width=12,
        about=_SHOWN,
        counts=True,
    ),
    Panel(
        "Slowest tools",
        {"{{tool}}": f"topk(10, {mean('tool_call_duration_seconds', 'tool')})"},
        "s",
        kind="bargauge",
        width=12,
        about="The mean in the time range shown.",
    ),
]

ROWS = (
    Row("Now", NOW),
    Row("Conversations", CONVERSATIONS),
    Row("Models", MODELS),
    Row("Costs", COSTS),
    Row("Tools, of all agents", TOOLS),
)
