-- Appends a batch of events to one session.
-- uses: lib/append
return append()
