"""What people, models and tools wrote, as HTML that can do nothing: content is hostile."""
