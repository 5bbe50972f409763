"""Sessions in forms that other tools read: CloudEvents, Markdown, JSON Lines, Parquet. See docs/exports.md.

Each module has an `export` that `session-log export --to KIND` finds by its entry point.
"""
