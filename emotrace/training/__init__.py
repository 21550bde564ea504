"""Normalise features, train models, and load trained models.

This package runs with torch, numpy, pandas, pyarrow and scipy alone, so a GPU machine needs
none of the libraries for extraction. There, ``python -m emotrace.training`` replaces the
workflow.
"""
