"""Scores: errors of fields, hot-spot statistics, arrival of the shock, and calibration of ensembles."""
