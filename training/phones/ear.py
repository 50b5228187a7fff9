"""Samples to phones: spectra, convolutions, and the likeliest label of each frame."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from services.codec.families.spark.config import MelConfig
from services.codec.families.spark.layers.frames import Frames
from services.codec.families.spark.layers.vocos import VocosBackbone
from services.codec.families.spark.mel import MelSpectrogram
from training.codec.initial import initialise
from training.corpus.phones import PHONES
from training.corpus.utterance import SAMPLE_RATE

BLANK = 0
"""Of CTC; also the phone that is silence, which is not heard as one."""
_MELS, _HOP = 64, 160
_FLOOR, _MEAN = 1e-3, -5.0


class PhoneEar(nn.Module):
    """[B, n] samples at 16 kHz -> scores [B, F, phones], 50 frames a second."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.mel = MelSpectrogram(_mel())
        self.trunk = initialise(VocosBackbone(2 * _MELS, channels, 2 * channels, layers))
        self.scores = nn.Linear(channels, len(PHONES))

    def forward(self, samples: Tensor) -> Tensor:
        with torch.autocast(samples.device.type, enabled=False):
            mel = torch.log(self.mel(samples) + _FLOOR) - _MEAN
        mel = mel[:, :, : mel.shape[2] // 2 * 2]
        # Two frames of 10 ms side by side.
        paired = mel.reshape(len(mel), _MELS, -1, 2).transpose(2, 3).flatten(1, 2)
        frames: Frames = self.trunk(Frames.whole(paired))
        scores: Tensor = self.scores(frames.x.transpose(1, 2))
        return scores

    @torch.inference_mode()
    def hear(self, samples: NDArray[np.float32]) -> tuple[int, ...]:
        """samples: [n] -> indices in PHONES, without silence."""
        device = self.scores.weight.device
        best = self(torch.from_numpy(samples)[None].to(device))[0].argmax(-1).tolist()
        changes = [label for label, before in zip(best, [BLANK, *best], strict=False) if label != before]
        return tuple(label for label in changes if label != BLANK)

    def save(self, file: Path) -> None:
        tensors = {name: tensor.detach().cpu().half().contiguous() for name, tensor in self.state_dict().items()}
        save_file(tensors, file)

    @classmethod
    def load(cls, file: Path) -> "PhoneEar":
        """Its sizes are read off the tensors."""
        tensors = {name: tensor.float() for name, tensor in load_file(file).items()}
        layers = sum(name.startswith("trunk.convnext.") and name.endswith(".gamma") for name in tensors)
        ear = cls(tensors["scores.weight"].shape[1], layers)
        ear.load_state_dict(tensors)
        return ear.eval().requires_grad_(False)


def distance(heard: Sequence[int], said: Sequence[int]) -> int:
    """Insertions, deletions and substitutions between the two."""
    row = list(range(len(said) + 1))
    for index, label in enumerate(heard, start=1):
        above, row[0] = row[0], index
        for place, wanted in enumerate(said, start=1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (label != wanted))
    return row[-1]


def _mel() -> MelConfig:
    return MelConfig(
        sample_rate=SAMPLE_RATE,
        n_fft=512,
        win_length=400,
        hop_length=_HOP,
        mel_fmin=20.0,
        mel_fmax=None,
        num_mels=_MELS,
    )
