"""What the library answers, as people read it and as JSON: text in, text out, nothing asked."""
