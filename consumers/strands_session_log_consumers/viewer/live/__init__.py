"""What changes while a page is open: followed once, however many watch."""
