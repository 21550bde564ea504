"""BAT: backward attention, over the frames before the current one."""

from __future__ import annotations

import torch
from torch import Tensor

from emotrace.models import AT

FACTS = {"attention": "past", "controls": {"LSTM": "without a context"}}


class Model(AT.Model):
    """AT with a context that runs only over j < t; the context of the first frame is zero.

    The model is therefore strictly causal: a prediction does not depend on later frames.
    """

    def allow_frames(self, valid: Tensor) -> Tensor:
        """Allow the frames before each frame, ``(clips, frames, frames)``."""
        n_frames = valid.shape[1]
        past = torch.ones(n_frames, n_frames, dtype=torch.bool, device=valid.device).tril(-1)
        return past & valid[:, None, :]
