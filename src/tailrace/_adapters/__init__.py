"""tailrace sockets in the clothes of other libraries. Nothing below knows that this exists."""
