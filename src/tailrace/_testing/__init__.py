"""What :mod:`tailrace.testing` offers. Nothing below knows that this exists."""
