"""What the log costs beside the least it could cost, and beside others: `make bench`.

`text.py` makes what is said, `measuring.py` takes turns, `rows.py` is what comes of it, `groups/` has what is measured,
and `report.py`, `document.py` and `plot.py` tell of it.
"""

import sys
from pathlib import Path

# `python -m tests.bench` finds the proxy and the servers of the tests where pytest finds them.
if (_tests := str(Path(__file__).parents[1])) not in sys.path:
    sys.path.append(_tests)
