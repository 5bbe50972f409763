"""What happens in Strands, as events of the log: shared by everything that writes for a live agent."""

from .agent_hooks import AgentHooks
from .agent_outbox import AgentOutbox
from .facts import Facts, Record, records_facts
from .outbox import Outbox

__all__ = ["AgentHooks", "AgentOutbox", "Facts", "Outbox", "Record", "records_facts"]
