"""Results published for emoMusic, for comparison with ours.

S. Chaki, P. Doshi, S. Bhattacharya, P. Patnaik, "Explaining Perceived Emotion Predictions in Music:
An Attentive Approach", ISMIR 2020 (tables 1 to 3; the baseline is their own run of Weninger et al.,
ICASSP 2014). They use full clips of 45 s and ten random folds. The reported fold is also used for
early stopping and for the choice of sizes, so these results are optimistic.

F. Weninger, F. Eyben, B. Schuller, "On-line continuous-time music mood regression with deep
recurrent neural networks", ICASSP 2014 (full clips, official split).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from emotrace.evaluation.sanity_checks import bound_r2
from emotrace.models.families import read_family

CORPUS = "emomusic"
PUBLISHED_BASELINE = "LSTM_400"


@dataclass(frozen=True)
class Published:
    """One published result."""

    target: str
    feature_set: str
    model: str
    r2: float
    tau: float = math.nan
    mae: float = math.nan
    protocol: str = "paper"


MARKS = {"protocol": "†", "excerpts": "‡", "impossible": "§"}
"""Signs for the differences between a published result and ours."""

ROUNDING = 0.005
"""Half a unit of the last printed digit."""

WENINGER = {
    ("arousal", "compare"): Published("arousal", "compare", "LSTM", 0.70, protocol="official"),
    ("valence", "compare"): Published("valence", "compare", "LSTM", 0.50, protocol="official"),
}
"""Best network of Weninger et al.; they report no tau, and no MAE on this scale."""

RESULTS = (
    Published("arousal", "compare", "LSTM_400", 0.60, 0.14, 0.11),
    Published("arousal", "compare", "LSTM_1024", 0.73, 0.12, 0.12),
    Published("arousal", "compare", "LSTM_700_128", 0.69, 0.20, 0.12),
    Published("arousal", "compare", "AT_300", 0.75, 0.15, 0.13),
    Published("arousal", "compare", "AT_2048_1024", 0.78, 0.24, 0.11),
    Published("arousal", "compare", "BAT_1024", 0.55, 0.04, 0.12),
    Published("arousal", "compare", "BAT_2048_1024", 0.58, 0.06, 0.12),
    Published("arousal", "compare", "Transformer_2", 0.64, 0.61, 0.27),
    Published("valence", "compare", "LSTM_400", 0.29, 0.08, 0.16),
    Published("valence", "compare", "LSTM_700", 0.39, 0.10, 0.15),
    Published("valence", "compare", "LSTM_2048_1024", 0.29, 0.17, 0.15),
    Published("valence", "compare", "AT_400", 0.53, 0.08, 0.16),
    Published("valence", "compare", "AT_300_128", 0.51, 0.04, 0.16),
    Published("valence", "compare", "BAT_2048", 0.16, 0.13, 0.15),
    Published("valence", "compare", "BAT_400_128", 0.21, 0.16, 0.14),
    Published("valence", "compare", "Transformer_1", 0.12, 0.11, 0.10),
    Published("arousal", "chroma", "AT_64", 0.15, 0.04, 0.19),
    Published("arousal", "cqt", "AT_64", 0.45, 0.06, 0.17),
    Published("arousal", "chroma_cqt", "AT_64", 0.57, 0.07, 0.14),
    Published("arousal", "spectral", "AT_64", 0.70, 0.03, 0.12),
    Published("valence", "chroma", "AT_64", 0.01, 0.002, 0.09),
    Published("valence", "cqt", "AT_64", 0.07, 0.01, 0.17),
    Published("valence", "chroma_cqt", "AT_64", 0.17, 0.06, 0.14),
    Published("valence", "spectral", "AT_128", 0.35, 0.07, 0.16),
)


def find_published(target: str, feature_set: str, model: str) -> Published | None:
    """Return the published result of exactly this configuration, if there is one."""
    for result in RESULTS:
        if (result.target, result.feature_set, result.model) == (target, feature_set, model):
            return result
    return None


def find_published_best(target: str, feature_set: str, kind: str) -> Published | None:
    """Return the best published result of a kind of model (see `name_kind`), if there is one."""
    results = [
        result
        for result in RESULTS
        if (result.target, result.feature_set) == (target, feature_set)
        and name_kind(result.model) == kind
    ]
    return max(results, key=lambda result: result.r2, default=None)


def mark_published(
    published: Published, protocol: str, are_excerpts: bool, truth_variance: float
) -> str:
    """Return signs for what limits the comparison of a published result with ours.

    Parameters
    ----------
    published : Published
        Published result.
    protocol : str
        Protocol of our result.
    are_excerpts : bool
        Whether our clips are shorter than the full clips.
    truth_variance : float
        Variance of our labels.

    Returns
    -------
    str
        Signs from `MARKS`.
    """
    highest = bound_r2(max(published.mae - ROUNDING, 0), truth_variance)
    reasons = {
        "protocol": published.protocol != protocol,
        "excerpts": are_excerpts,
        "impossible": published.r2 - ROUNDING > highest,
    }
    return "".join(MARKS[reason] for reason, holds in reasons.items() if holds)


def name_kind(model: str) -> str:
    """Return the kind of a model, as the paper groups them, such as ``"AT, stacked"``.

    A family whose models have at most one size is a kind by itself.
    """
    family, *sizes = model.split("_")
    if read_family(family).most_sizes == 1:
        return family
    return f"{family}, {'one layer' if len(sizes) == 1 else 'stacked'}"
