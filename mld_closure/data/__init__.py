"""Trajectory files: their layout, writing, lazy reading, validation, import, and windows for training."""
