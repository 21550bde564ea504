"""Divide clips into training, validation and test sets."""
