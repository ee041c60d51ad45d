"""``tailrace.serve``: everything between a server and the machine that runs it."""
