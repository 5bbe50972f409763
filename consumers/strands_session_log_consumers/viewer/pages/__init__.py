"""What each address answers: pages, fragments of them, and forms."""
