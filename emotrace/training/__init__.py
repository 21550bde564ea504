"""Protocols, normalisation, and the loop that trains one model.

Runs with torch, numpy, pandas, pyarrow and scipy alone, so that a GPU machine
needs nothing of what extraction needs; there, ``python -m emotrace.training``
stands in for the workflow.
"""
