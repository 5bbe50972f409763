"""Who waits for a person, and how an answer reaches the application that asked."""
