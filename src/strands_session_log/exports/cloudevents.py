"""Events as CloudEvents 1.0 (https://cloudevents.io): in JSON, as a batch, and as HTTP requests or replies.

A consumer that passes deliveries on:

    async for delivery in subscriber:
        headers, body = http_binary(delivery_event(delivery, log.namespace))
        await client.post(url, headers=headers, content=body)
        await delivery.ack()
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from ..event_log import Progress
from ..events import Recorded
from ..session_log import SessionLog
from ..subscription import Delivery, SyncDelivery
from .messages import instant

__all__ = [
    *("CloudEvent", "HttpMessage", "cloud_event", "delivery_event", "export"),
    *("http_batch", "http_binary", "http_structured"),
]
TYPES = "strands-session-log."
"""What the type of an event begins with, before its type in the log."""
JSON, STRUCTURED = "application/json", "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
_ENCODED = re.compile(r'[^\x21-\x7e]|["%]')
_RFC3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

CloudEvent = dict[str, Any]
"""A CloudEvent as its JSON format has it."""


class HttpMessage(NamedTuple):
    """What is sent, of a request or of a reply.

    Attributes:
        headers: Name and value of each.
        body: The content.
    """

    headers: dict[str, str]
    body: bytes


def cloud_event(recorded: Recorded, session_id: str, namespace: str) -> CloudEvent:
    """An event of a session as a CloudEvent.

    Args:
        recorded: The event.
        session_id: Its session.
        namespace: That of the log.
    """
    event = recorded.event
    return {
        **_context(namespace, session_id, str(recorded.id), event.type, event.agent),
        "time": event.time if _is_instant(event.time) else instant(recorded.id),
        "link": recorded.link,
        "uuid": event.event_id,
        "schemaversion": event.version,
        **({"traceparent": event.trace} if _TRACEPARENT.fullmatch(event.trace) else {}),
        **({"erased": True} if event.is_erased else {}),
        **({"encrypted": True} if event.is_sealed else {}),
        "datacontenttype": JSON,
        "data": event.data,
    }


def delivery_event(delivery: Delivery | SyncDelivery, namespace: str) -> CloudEvent:
    """What a consumer was given as a CloudEvent; without `bodies=True` its data is what the feed tells, the facts.

    Args:
        delivery: What a subscriber has given.
        namespace: That of the log.
    """
    if delivery.recorded is not None:
        return cloud_event(delivery.recorded, delivery.session_id, namespace)
    told = delivery.envelope
    return {
        **_context(namespace, told.session_id, str(told.id), told.type, told.agent),
        "time": instant(told.id),
        "link": told.link,
        "datacontenttype": JSON,
        "data": told.facts,
    }


def http_binary(event: CloudEvent) -> HttpMessage:
    """Binary content mode: the attributes are headers, the body is the data."""
    told = {f"ce-{name}": _header(value) for name, value in event.items() if name not in ("data", "datacontenttype")}
    return HttpMessage({"content-type": event["datacontenttype"], **told}, orjson.dumps(event["data"]))


def http_structured(event: CloudEvent) -> HttpMessage:
    """Structured content mode: the body is the event as JSON."""
    return HttpMessage({"content-type": f"{STRUCTURED}; charset=utf-8"}, orjson.dumps(event))


def http_batch(events: Iterable[CloudEvent]) -> HttpMessage:
    """Batched content mode: the body is a list of events as JSON; it may be empty."""
    return HttpMessage({"content-type": f"{BATCH}; charset=utf-8"}, orjson.dumps(list(events)))


def export(log: SessionLog, session_id: str, progress: Progress) -> Iterator[bytes]:
    """The events of a session as a batch of CloudEvents in JSON, a line each.

    Args:
        log: Where the session is.
        session_id: The session.
        progress: Told how far it has come.

    Raises:
        SessionNotFoundError: When there is no such session.
    """
    last, opening = log.head(session_id), b"[\n"
    for one in log.read(session_id, until=last):
        yield opening + orjson.dumps(cloud_event(one, session_id, log.namespace))
        opening = b",\n"
        progress(one.id.revision, last.revision)
    yield b"\n]\n"


def _context(namespace: str, session_id: str, id_: str, type_: str, agent: str) -> CloudEvent:
    """What every CloudEvent has, and in which order a session's stand: `source` and `id` name an event once."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": f"/{quote(namespace, safe='')}/{quote(session_id, safe='')}",
        "type": f"{TYPES}{type_}",
        **({"subject": agent} if agent else {}),
        "sequence": id_.partition("-")[2],
    }


def _header(value: Any) -> str:
    """A value as HTTP carries it, see the HTTP protocol binding, 3.1.3.2."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return _ENCODED.sub(lambda found: quote(found[0], safe=""), text)


def _is_instant(text: str) -> bool:
    try:
        return bool(_RFC3339.fullmatch(text) and datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError:
        return False
