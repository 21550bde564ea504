"""UniformTwoLevel: TwoLevel with uniform attention, a control for what learnt attention adds."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from emotrace.models import TwoLevel


class Model(TwoLevel.Model):
    """Predict the level of the clip from its unweighted mean: alpha_j = 1/T.

    Parameters
    ----------
    n_features : int
        Values per frame.
    sizes : sequence of int
        See `emotrace.models.TwoLevel.Model`.
    dropout : float
        See `emotrace.models.TwoLevel.Model`.
    feedback : bool
        See `emotrace.models.TwoLevel.Model`.
    """

    def __init__(
        self, n_features: int, sizes: Sequence[int], *, dropout: float, feedback: bool
    ) -> None:
        super().__init__(n_features, sizes, dropout=dropout, feedback=feedback)
        del self.score, self.attention

    def forward(self, features: Tensor, valid: Tensor) -> tuple[Tensor, Tensor | None]:
        """Predict; see `emotrace.models` for shapes. The weights are equal, and not returned."""
        predictions, _ = super().forward(features, valid)
        return predictions, None

    def weigh(self, frames: Tensor, valid: Tensor) -> Tensor:
        """Return the same weight for all frames of the clip, ``(clips, 1, frames)``."""
        heard = valid[:, None, :].to(frames.dtype)
        return heard / heard.sum(dim=-1, keepdim=True)
