"""Metrics with intervals, baselines, sanity checks, and the tables that show them."""
