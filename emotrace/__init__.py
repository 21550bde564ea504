"""Traces of perceived emotion in music, and the moments that a model listened to."""

TARGETS = ("arousal", "valence")
"""What is predicted, in the order of every table and array."""
