"""Where in its period the voice stands in a frame: the other half of what a code says.

A decoder without memory repeats itself with its frames: from codes that tell only what is said it can make no steady
pitch but multiples of 50 Hz. So there is a plane of codes for frames without voice, and one for each quarter of the
period; a code is its content, and its plane times the number of contents.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.corpus.pitch import Pitch

PHASES = 4
PLANES = 1 + PHASES
WIDTH = 3


def units() -> Tensor:
    """[PLANES, WIDTH] of length 1: what the planes add to a content's row of the codebook."""
    angles = 2 * torch.pi * (torch.arange(PHASES) + 0.5) / PHASES
    voiced = torch.stack([angles.cos(), angles.sin(), torch.zeros(PHASES)], dim=1)
    return torch.cat([torch.tensor([[0.0, 0.0, 1.0]]), voiced])


def planes(f0: NDArray[np.float32], phase: NDArray[np.float32]) -> NDArray[np.int64]:
    """f0 in Hz, 0 without voice; phase in turns, any."""
    quarters = np.minimum((np.mod(phase, 1.0) * PHASES).astype(np.int64), PHASES - 1)
    return np.where(f0 > 0, 1 + quarters, 0)


def planes_at(moments: NDArray[np.int64], pitch: Pitch) -> NDArray[np.int64]:
    """moments: samples from the start of the utterance."""
    return planes(*pitch.at(moments))
