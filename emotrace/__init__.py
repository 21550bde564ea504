"""Predict perceived emotion in music over time, and show which moments a model attended to."""

TARGETS = ("arousal", "valence")
"""Targets of prediction, in the order of every table and array."""
