"""Metrics, their intervals, and the tables that show them. Nothing here trains."""
