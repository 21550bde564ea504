"""Attention weights of single clips, read from what a training job left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from emotrace.reruns.checksums import read_table


def read_attention(
    path: str | Path, target: str, clip_ids: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read the attention maps of clips, averaged over seeds.

    Parameters
    ----------
    path : str or Path
        A run's ``attention.parquet``.
    target : {"arousal", "valence"}
    clip_ids : sequence of str

    Returns
    -------
    dict of str to tuple
        For each clip its frames' times in seconds, ``(frames,)``, and the weights,
        ``(frames, frames)``; rows are predicted, columns attended frames.
    """
    filters = [("target", "==", target), ("clip_id", "in", list(clip_ids))]
    table = read_table(path, filters=filters)
    maps = {}
    for clip_id, clip in table.groupby("clip_id"):
        times = np.sort(clip["time_s"].unique())
        seeds = [
            np.stack(seed.sort_values("time_s")["weights"].to_list())
            for _, seed in clip.groupby(["fold", "seed"])
        ]
        maps[clip_id] = (times, np.mean(seeds, axis=0))
    return maps
