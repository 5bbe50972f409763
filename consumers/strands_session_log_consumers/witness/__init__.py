"""A witness of the log: seals where sessions stand every minute, outside the server, and checks what it sealed before.

`watching` is what it does in a round, `service` does that again and again, `bucket` is a place for seals in any store
that fsspec knows, `timestamps` has each checkpoint stamped with the time by somebody else, `counting` shows all of it.
"""
