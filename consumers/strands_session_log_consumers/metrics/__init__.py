"""A Prometheus exporter on a consumer group: what the agents do, and how the log and its readers are.

`counting` turns envelopes into counters, `looking` asks the server from time to time, `state` shows what it answered,
`serving` is the HTTP side, and `service` puts them together.
"""
