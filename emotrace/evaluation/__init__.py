"""Metrics, their intervals, and the tables that show them. Nothing here trains."""

ATTENTIVE = ("AT", "BAT", "TwoLevel")
"""Families whose attention is drawn."""
