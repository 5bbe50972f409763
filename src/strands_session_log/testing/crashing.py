"""A consumer that ends as `kill -9` would end it, in the process of its test."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..subscription import Deliveries, SyncDeliveries


def crash(deliveries: Deliveries | SyncDeliveries) -> None:
    """Let a consumer fall silent, as one does whose process was killed; the loop over its deliveries ends.

    ```python
    with Subscriber(log, "audit", claim_after=1) as deliveries:
        for delivery in deliveries:
            write(delivery)
            crash(deliveries)  # before the ack
    ```

    From now on it tells the server nothing: no ack, also none that is on its way only from here, no sign of life, no
    goodbye. What it had not settled is another consumer's after `claim_after`, as its next attempt. Acks that come
    later are forgotten; one with `confirm=True` raises a `SessionLogError`.

    Args:
        deliveries: What the subscriber gave in its `with` block.
    """
    deliveries._consumer.cut_off()
    deliveries._read.clear()
