"""Many processes: the communicator."""
