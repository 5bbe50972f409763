"""`python -m strands_session_log.cli`, where no script is on the path."""

from . import main

main()
