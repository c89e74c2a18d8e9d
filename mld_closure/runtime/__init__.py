"""Many processes: communicator, agreement, exchange, placement, and how a closure is opened on them."""
