"""What is said in all sessions, into PostgreSQL, each message once, and gone from there when it is erased.

Run as many as you like. Deliveries come at least once: a row is known by the place of its event, so that
written again it is the same row. Needs `psycopg`.
"""

import os
from typing import Any

import psycopg

from strands_session_log import SessionLog, Subscriber, SyncDelivery, from_json

TABLE = """
CREATE TABLE IF NOT EXISTS said (
    session text, id text, at timestamptz NOT NULL, agent text NOT NULL, role text, content text,
    PRIMARY KEY (session, id)
)"""
INSERT = "INSERT INTO said VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (session, id) DO NOTHING"
ERASE = "UPDATE said SET content = NULL WHERE session = %s AND id = ANY(%s)"
DELETE = "DELETE FROM said WHERE session = %s AND at <= %s"
TYPES = ("message.added", "payload.erased", "session.deleted")


def plain(text: Any) -> str:
    """What PostgreSQL can hold of a text: no character 0, and no half ones, for which the log has a stand-in."""
    return str(from_json(text)).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def keep(database: "psycopg.Connection[Any]", delivery: SyncDelivery) -> None:
    """Do what an event asks for; done twice, it is the same."""
    session, at, event = delivery.session_id, delivery.id, delivery.event
    if delivery.envelope.type == "session.deleted":
        database.execute(DELETE, (session, at.time))
    elif event is None:
        pass  # The session was deleted since, and that is told, too.
    elif event.type == "payload.erased":
        database.execute(ERASE, (session, event.data["erased"]))
    else:
        message = event.data.get("message") or event.data
        text = " ".join(plain(block["text"]) for block in message.get("content", ()) if "text" in block)
        # Of one that was erased before it came here, only the role is left.
        database.execute(
            INSERT, (session, str(at), at.time, event.agent, message.get("role"), text if event.has_content else None)
        )


def audit(log: SessionLog, database: "psycopg.Connection[Any]", at_most: int | None = None) -> None:
    """Handle deliveries until the process is ended, or so many."""
    with database.transaction():
        database.execute(TABLE)
    # In order: what is erased was written before.
    subscriber = Subscriber(log, "audit", types=TYPES, bodies=True, start="beginning", ordered=True)
    with subscriber as deliveries:
        for number, delivery in enumerate(deliveries, 1):
            with database.transaction():
                keep(database, delivery)
            # Only now, when it is in the table: who ends in between is given it again.
            delivery.ack()
            if number == at_most:
                break


if __name__ == "__main__":
    with (
        SessionLog.connect(os.environ["SESSION_LOG_URL"]) as log,
        psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as database,
    ):
        audit(log, database)
