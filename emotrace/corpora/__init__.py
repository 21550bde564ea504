"""Corpora: each becomes the same two tables, clips and annotations.

A corpus is a module here with a function that reads it and one that lists its
audio, a block in `emotrace.config.schema`, and a branch in each function of
`emotrace.corpora.sources`; DEAM and PMEmo would be the next.
"""
