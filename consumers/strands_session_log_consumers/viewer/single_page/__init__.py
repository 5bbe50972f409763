"""A session as one page in one file, without a server."""
