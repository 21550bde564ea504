"""What the figures show, gathered from the files of a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from emotrace import TARGETS
from emotrace.figures.attention import read_attention
from emotrace.reruns.checksums import read_json, read_table


@dataclass(frozen=True)
class Examples:
    """The choices of ``results/examples.json``, and the files of the runs they name.

    Parameters
    ----------
    choices : dict
        See `emotrace.evaluation.choices.choose_examples`.
    files : dict of str to Path
        For each model drawn, one file that its training left.
    """

    choices: dict
    files: dict[str, Path]

    @property
    def clip_ids(self) -> list[str]:
        """The clips to draw."""
        return self.choices["clips"]

    def name_models(self, role: str) -> dict[str, str]:
        """Name for each target the model of a role, such as "AT_64 on compare"."""
        feature_set = self.choices["feature_set"]
        return {target: f"{self.choices[role][target]} on {feature_set}" for target in TARGETS}

    def read_predictions(self, model: str, target: str) -> pd.DataFrame:
        """Read a model's predictions of one target, averaged over seeds.

        Returns
        -------
        pandas.DataFrame
            ``clip_id``, ``time_s``, ``prediction``, in order of time.
        """
        table = read_table(self.files[model], filters=[("target", "==", target)])
        return table.groupby(["clip_id", "time_s"], as_index=False)["prediction"].mean()

    def read_maps(self, role: str) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
        """Read for each target the attention of the model of a role; see `read_attention`."""
        return {
            target: read_attention(self.files[self.choices[role][target]], target, self.clip_ids)
            for target in TARGETS
        }


def open_examples(path: str | Path, files: Sequence[str | Path]) -> Examples:
    """Read the choices and find the runs' files, which lie in folders named as the models."""
    return Examples(read_json(path), {Path(file).parent.name: Path(file) for file in files})
