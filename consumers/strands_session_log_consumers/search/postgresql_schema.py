"""What stands in a schema of PostgreSQL that is an index."""

from __future__ import annotations

FORMAT = "1"
LEAST_VERSION = 150_000
PARTITION_BITS = 29
"""A partition has what was said in so many bits of milliseconds: about six days."""

# No statistics of texts: they are samples of what was said, in a catalogue that nobody scrubs.
SCHEMA = """
CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE session (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, session_id text COLLATE "C" NOT NULL UNIQUE,
    ms bigint NOT NULL, revision bigint NOT NULL, link text NOT NULL);
CREATE TABLE label (
    session integer NOT NULL, name text NOT NULL, value text NOT NULL, PRIMARY KEY (session, name));
CREATE TABLE message (
    ms bigint NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, session integer NOT NULL, revision bigint NOT NULL,
    agent text NOT NULL, number bigint, role text NOT NULL, PRIMARY KEY (ms, seq));
CREATE UNIQUE INDEX message_event ON message (session, revision);
CREATE INDEX message_number ON message (session, number);
CREATE TABLE said (ms bigint NOT NULL, seq bigint NOT NULL, text text NOT NULL, words tsvector NOT NULL,
    PRIMARY KEY (ms, seq)) PARTITION BY RANGE (ms);
CREATE INDEX said_words ON said USING gin (words);
ALTER TABLE said ALTER COLUMN text SET STATISTICS 0, ALTER COLUMN words SET STATISTICS 0;
"""
PARTITION = """
CREATE TABLE {name} (LIKE said INCLUDING ALL);
ALTER TABLE {name} ALTER COLUMN text SET STATISTICS 0, ALTER COLUMN words SET STATISTICS 0;
ALTER TABLE said ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end});
"""
ADD = """
WITH given AS (
    SELECT * FROM unnest(
        %s::integer[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[]
    ) WITH ORDINALITY AS given (session, ms, revision, agent, number, role, text, words, place)),
added AS (
    INSERT INTO message (session, ms, revision, agent, number, role)
    SELECT session, ms, revision, agent, number, role FROM given ORDER BY place
    ON CONFLICT (session, revision) DO NOTHING RETURNING ms, seq, session, revision)
INSERT INTO said SELECT added.ms, added.seq, given.text, given.words::tsvector
FROM added JOIN given ON given.session = added.session AND given.revision = added.revision
"""
REMOVE = """
WITH gone AS (DELETE FROM message WHERE session = %s{condition} RETURNING ms, seq)
DELETE FROM said USING gone WHERE said.ms = gone.ms AND said.seq = gone.seq RETURNING said.ms
"""
