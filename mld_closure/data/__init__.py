"""Trajectory files: written, read lazily, validated, imported, cut into training windows."""
