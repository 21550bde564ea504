"""How the weights of a model are found: a block of the config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from emotrace.runtime.settings import setting

MOST_STEPS = 100_000
"""Clips of a batch, epochs of a training."""


@dataclass(frozen=True)
class TrainingSettings:
    """How the weights are found."""

    optimizer: Literal["adamw", "rmsprop"] = setting(
        "adamw", description="adamw, or rmsprop with the paper's constants."
    )
    learning_rate: float = setting(
        3e-4, gt=0, le=1000, description="Step size; 0.001 in the paper."
    )
    weight_decay: float = setting(
        0.01, ge=0, le=1000, description="Pull of the weights to 0; 0 in the paper."
    )
    dropout: float = setting(
        0.5, ge=0, lt=1, description="Share of values set to 0 while training; 0 in the paper."
    )
    feedback: bool = setting(
        True, description="Whether a model sees its own previous prediction (never the truth)."
    )
    batch_size: int = setting(
        5, ge=1, le=MOST_STEPS, description="Clips per step; 20 in the paper."
    )
    max_epochs: int = setting(
        40, ge=1, le=MOST_STEPS, description="Longest training; 50 in the paper."
    )
    patience: int = setting(
        12,
        ge=1,
        le=MOST_STEPS,
        description="Epochs without improvement after which training ends; 5 in the paper.",
    )
    min_delta: float = setting(
        1e-4,
        ge=0,
        le=4,
        description="Smallest fall of the validation error that is an improvement.",
    )
    scaling: Literal["robust", "z_score"] = setting(
        "robust",
        description="robust: by median and 5 to 95 % range, for heavy-tailed features; z_score: by "
        "mean and standard deviation, as in the paper.",
    )
    feature_limit: float = setting(
        5.0, gt=0, le=1e6, description="Scaled features are clipped at this magnitude."
    )
