"""What happens in Strands, as events of the log: shared by everything that writes for a live agent."""

from .facts import Facts, Record, records_facts
from .hooks import listen
from .outbox import Outbox
from .threads import run_in_thread

__all__ = ["Facts", "Outbox", "Record", "listen", "records_facts", "run_in_thread"]
