"""Other forms as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from strands_session_log import Delivery, SessionLog, SyncDelivery
from strands_session_log.exports.cloudevents import (
    CloudEvent,
    HttpMessage,
    cloud_event,
    delivery_event,
    export,
    http_batch,
    http_binary,
    http_structured,
)

log: SessionLog = SessionLog.connect("valkey://localhost:6379")

pieces: list[bytes] = list(export(log, "s-42", lambda done, total: None))
found: list[CloudEvent] = [cloud_event(one, "s-42", log.namespace) for one in log.read("s-42")]
batch: HttpMessage = http_batch(found)


def forward(one: Delivery, other: SyncDelivery) -> dict[str, str]:
    message: HttpMessage = http_structured(delivery_event(one, log.namespace))
    headers, body = http_binary(delivery_event(other, log.namespace))
    sent: bytes = message.body + body
    return {**message.headers, **headers, "content-length": str(len(sent))}
