"""BAT: backward attention, over the frames before the present one."""

from __future__ import annotations

import torch
from torch import Tensor

from emotrace.models import AT

FACTS = {"attention": "past", "controls": {"LSTM": "without a context"}}


class Model(AT.Model):
    """AT whose context runs over j < t only; the first frame's context is zero.

    With it the model is strictly causal: a prediction depends on no later frame.
    """

    def allow_frames(self, valid: Tensor) -> Tensor:
        """Allow the frames before each frame, ``(clips, frames, frames)``."""
        n_frames = valid.shape[1]
        past = torch.ones(n_frames, n_frames, dtype=torch.bool, device=valid.device).tril(-1)
        return past & valid[:, None, :]
