"""Turns of other frameworks with their own session stores: programs for the environment that `peers.txt` describes."""
