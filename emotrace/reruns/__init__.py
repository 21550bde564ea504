"""Minimal reruns: digests of code, the store, its cleaning, and the forecast of the next run."""
