"""Events as webhooks: each is sent to a URL as a CloudEvent, signed, at least once.

`signing` is how a receiver knows them, `receiver` what it may answer, `availability` what happens while it is away, and
`service` who is told what, `counting` its metrics; `command` is `session-log forward`.
"""
