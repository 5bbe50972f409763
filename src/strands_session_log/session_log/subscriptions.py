"""The part of a session log that is about its consumer groups; `Subscriber` reads in one."""

from __future__ import annotations

from .. import subscription
from ..errors import GroupNotFoundError
from ..event_log import EventLog
from ..subscription import Cure, Gap, GroupStatus, ParkedEvents


class Subscriptions:
    """Consumer groups, looked at and looked after."""

    events: EventLog

    def groups(self) -> list[GroupStatus]:
        """How the subscriptions of this log stand: one line a group and partition, in their order."""
        return subscription.groups(self.events.store)

    def parked(self, group: str) -> ParkedEvents:
        """What a subscription gave up on: iterate over it, `replay` or `drop` it.

        Args:
            group: Its name.
        """
        return ParkedEvents(self.events.store, group)

    def settle_gaps(self, group: str, how: Cure) -> list[Gap]:
        """Settle what is gone from the feed and was not delivered to a group, as every consumer of it is told.

        Args:
            group: Its name.
            how: `catch_up`: consumers of the group read the events of that time from the sessions, those they had
                already among them; or `skip`: the group does without.

        Returns:
            What was missing, by partition; nothing when there was no gap.

        Raises:
            GroupNotFoundError: When there is no such group.
        """
        gaps = subscription.settle_gaps(self.events.store, group, how)
        if not gaps:
            subscription.check_group(self.events.store, group)
        return gaps

    def delete_group(self, group: str) -> None:
        """Remove a group: where it stands, what it was given and has not settled, and what it has parked.

        Stop its consumers first: one that still reads makes the group anew, where that consumer is.

        Args:
            group: Its name.

        Raises:
            GroupNotFoundError: When there is no such group.
        """
        if not subscription.delete_group(self.events.store, group):
            known = {one.group for one in self.groups()}
            raise GroupNotFoundError(group, sorted(known))
