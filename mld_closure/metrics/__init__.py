"""Scores: field errors and hot-spot statistics."""
