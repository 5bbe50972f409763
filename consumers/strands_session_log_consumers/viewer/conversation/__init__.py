"""One session as people read it: its index, its stretches, and whether it is what was written."""
