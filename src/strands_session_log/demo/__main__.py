"""One process of the demo; see `process`."""

import sys

from .process import main

main(sys.argv[1:])
