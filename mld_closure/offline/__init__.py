"""Train, evaluate, predict and roll out: networks and data files, without a hydrocode."""
