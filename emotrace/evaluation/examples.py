"""Read what the figures show: predictions, errors and attention of the chosen models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.reruns.checksums import read_json, read_table

KEYS = ["clip_id", "time_s"]

Maps = dict[str, tuple[np.ndarray, np.ndarray]]
"""For each clip, the times of its frames, and weights."""


@dataclass(frozen=True)
class Examples:
    """The choices in ``results/examples.json``, and the files of the runs that they name.

    Parameters
    ----------
    choices : dict
        Choices; see `emotrace.evaluation.choices.choose_examples`.
    files : dict of str to Path
        For each model to draw, one file of its training run.
    """

    choices: dict
    files: dict[str, Path]

    @property
    def clip_ids(self) -> list[str]:
        """Ids of the clips to draw."""
        return self.choices["clips"]

    @property
    def baseline_label(self) -> str:
        """Name of the baseline and the feature set, such as "LSTM_64 on compare"."""
        return f"{self.choices['baseline']} on {self.choices['feature_set']}"

    def name_models(self, role: str) -> dict[str, str]:
        """Return the name of a role's model for each target, such as "AT_64 on compare"."""
        feature_set = self.choices["feature_set"]
        return {target: f"{self.choices[role][target]} on {feature_set}" for target in TARGETS}

    def read_predictions(self, model: str, target: str) -> pd.DataFrame:
        """Read the predictions of a model for one target, averaged over seeds.

        Returns
        -------
        pandas.DataFrame
            ``clip_id``, ``time_s``, ``prediction``, in order of time.
        """
        table = read_table(self.files[model], filters=[("target", "==", target)])
        return table.groupby(KEYS, as_index=False)["prediction"].mean()

    def read_curves(
        self, target: str, annotations: pd.DataFrame
    ) -> dict[str, dict[str, np.ndarray]]:
        """Read the true labels and the predictions of both models for each clip to draw.

        Returns
        -------
        dict of str to dict
            For each clip, ``times_s``, ``truth``, ``truth_std`` and the predictions ``best`` and
            ``baseline``, in order of time, each of shape ``(frames,)``.
        """
        best = self.read_predictions(self.choices["best"][target], target)
        baseline = self.read_predictions(self.choices["baseline"], target)
        frames = best.merge(baseline, on=KEYS, suffixes=("_best", "_baseline"))
        frames = frames.merge(annotations, on=KEYS)
        columns = {
            "times_s": "time_s",
            "truth": target,
            "truth_std": f"{target}_std",
            "best": "prediction_best",
            "baseline": "prediction_baseline",
        }
        return {
            clip_id: {name: clip[column].to_numpy() for name, column in columns.items()}
            for clip_id, clip in frames.groupby("clip_id")
            if clip_id in self.clip_ids
        }

    def read_errors(self, model: str, target: str, annotations: pd.DataFrame) -> np.ndarray:
        """Read the mean absolute error of each test clip, ``(clips,)``."""
        predictions = self.read_predictions(model, target)
        frames = predictions.merge(annotations, on=KEYS)
        errors = (frames["prediction"] - frames[target]).abs()
        return errors.groupby(frames["clip_id"]).mean().to_numpy()

    def read_maps(self, role: str) -> dict[str, Maps]:
        """Read the attention of a role's model for each target."""
        return {
            target: read_attention(self.files[self.choices[role][target]], target, self.clip_ids)
            for target in TARGETS
        }

    def read_received(self, role: str) -> dict[str, Maps]:
        """Read, for each target and clip, the times of the frames and the attention they receive.

        The attention is averaged over the predicted frames; its shape is ``(frames,)``.
        """
        return {
            target: {clip_id: (times, map_.mean(axis=0)) for clip_id, (times, map_) in maps.items()}
            for target, maps in self.read_maps(role).items()
        }


def open_examples(path: str | Path, files: Sequence[str | Path]) -> Examples:
    """Read the choices and find the files of the runs, which lie in folders named like models."""
    return Examples(read_json(path), {Path(file).parent.name: Path(file) for file in files})


def read_attention(path: str | Path, target: str, clip_ids: Sequence[str]) -> Maps:
    """Read the attention maps of clips, averaged over seeds.

    Parameters
    ----------
    path : str or Path
        Path of the ``attention.parquet`` of a run.
    target : {"arousal", "valence"}
        Target that the model predicts.
    clip_ids : sequence of str
        Ids of the clips.

    Returns
    -------
    dict of str to tuple
        For each clip, the times of its frames in seconds, ``(frames,)``, and the weights,
        ``(frames, frames)``; rows are predicted frames, columns are attended frames.
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
