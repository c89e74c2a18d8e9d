"""Networks and data files without a hydrocode: train, evaluate, predict and roll out."""
