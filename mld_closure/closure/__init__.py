"""The owner of cells: the protocol of a closure, arrival, load, clocks, policies and restarts; no network."""
