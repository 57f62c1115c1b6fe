"""What a 2-D detector is, and what it gives: boxes in an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from embodied_mem.errors import BadInputError


@dataclass(frozen=True, slots=True, eq=False)
class Boxes2D:
    """n labelled boxes of one image.

    labels  n strings
    scores  (n,) in 0..1
    boxes   (n, 4) x_min, y_min, x_max, y_max in pixels

    Raises BadInputError when the sizes disagree or a number is not finite.
    """

    labels: tuple[str, ...] = ()
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 4)))

    def __post_init__(self) -> None:
        n = len(self.labels)
        if np.shape(self.scores) != (n,) or np.shape(self.boxes) != (n, 4):
            raise BadInputError(
                f"{n} labels need {n} scores and ({n}, 4) boxes, "
                f"not {np.shape(self.scores)} and {np.shape(self.boxes)}."
            )
        if n and not (np.isfinite(self.scores).all() and np.isfinite(self.boxes).all()):
            raise BadInputError("A 2-D box or its score is NaN or infinite.")

    def __len__(self) -> int:
        return len(self.labels)


class Detector(Protocol):
    """Finds things in an image."""

    @property
    def name(self) -> str:
        """Which detector this is; it is recorded with every view."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Everything that it can find; what is not among them is never evidence of absence."""
        ...

    def detect(self, rgb: NDArray[np.uint8]) -> Boxes2D:
        """Boxes of an image (h, w, 3) RGB."""
        ...
