"""What providers billed, kept in a table of its own, beside the cost that was computed."""
