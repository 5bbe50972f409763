"""Subscriptions as users type them; type checkers run over this file, nothing executes it."""

from __future__ import annotations

from strands_session_log import (
    ANY,
    FeedRetention,
    GroupStatus,
    ParkedEvent,
    SessionLog,
    SnapshotSettings,
    Subscriber,
    errors,
    events,
)

log = SessionLog.connect(
    "valkey://localhost",
    "tenant-7",
    partitions=32,
    durability="replicated:1",
    retry_for=5,
    allow_eviction=True,
    snapshots=SnapshotSettings(threshold=64, segment=512, points=32, spacing=1024),
    snapshot_key=None,
    feed=FeedRetention(keep=60.0, max_age=3600, max_length=10_000, abandoned_after=600),
    verify_on_resume=True,
)
log.append("s-42", events.Custom("custom.order", {}, "agent", event_id="1", time="2026", trace="", version=2), ANY)

plain = Subscriber(log, "audit")
every = Subscriber(
    log,
    group="audit",
    consumer="audit-1",
    start="beginning",
    ordered=True,
    types=["message.*", "tool.*"],
    agent="default",
    bodies=True,
    batch=10,
    in_flight=40,
    claim_after=60,
    max_attempts=3,
    backoff=1,
    timeout=30,
    on_gap="catch_up",
    on_corrupt="raise",
    keep_errors="full",
)
group: str = every.settings.group

with plain as sync_deliveries:
    for sync_batch in sync_deliveries.batches():
        lost: int = len(sync_batch) - len(sync_deliveries.ack(sync_batch))
    try:
        for sync_delivery in sync_deliveries:
            sync_delivery.ack()
    except errors.FeedGapError as gap:
        sync_deliveries.catch_up(gap)
        sync_deliveries.skip(gap)
    sync_deliveries.stop()
    seen: int = sync_deliveries.counters.acked
    for sync_delivery in sync_deliveries:
        sync_delivery.fail(ValueError("not yet"))
        sync_delivery.park("no such customer")

first: ParkedEvent = log.parked("audit").get("0:1-1")
statuses: list[GroupStatus] = log.groups()


async def consume() -> None:
    """As a loop."""
    async with plain as deliveries:
        async for delivery in deliveries:
            if delivery.event is None or delivery.event.is_erased:
                await delivery.park(f"no content, attempt {delivery.attempts}")
            elif delivery.envelope.type == "custom.order":
                await delivery.ack(confirm=True)
        async for batch in deliveries.batches(most=10):
            late: int = len(batch) - len(await deliveries.ack(batch))
            await batch[0].fail(TimeoutError(f"{late} are another's"))


def handle(delivery: object) -> None:
    """A plain one runs in a thread."""


async def run() -> None:
    """As a function of one's own."""
    await plain.run(handle, concurrency=8, stop_on_signals=False)
