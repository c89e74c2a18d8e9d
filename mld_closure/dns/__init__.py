"""Direct numerical simulation of shocked voids: makes training data with known answers."""
