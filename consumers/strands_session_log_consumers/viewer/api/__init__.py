"""What the pages show, as JSON and server-sent events, for programs."""
