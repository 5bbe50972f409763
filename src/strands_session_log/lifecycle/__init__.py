"""What happens in Strands, as events of the log: shared by everything that writes for a live agent."""

from .facts import Facts, Record, records_facts
from .hooks import listen
from .journal import Journal
from .threads import off_the_loop

__all__ = ["Facts", "Journal", "Record", "listen", "off_the_loop", "records_facts"]
