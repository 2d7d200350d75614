"""What all requests have in common, pages and REST: whose they are, how many may come, and what the log says of them."""
