"""Decode audio files to samples, and define the grid of frames."""
