"""The tokenizer as listeners: from the sound they should hear the codes that it was made of, and who speaks."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.codec.modules import Heard, SpeakerEncoder
from training.frames import HOP
from training.hearing.modules import Tokenizer
from training.noise import noisy
from training.wave.crops import Crop

_SHARP = 60.0
"""Scale of the cosines between directions and contents."""
_LEAST = 1e-4
"""A probability below it counts as it."""


class Listener(nn.Module):
    """It learns nothing itself. owners [contents]: the phone of each."""

    owners: Tensor

    def __init__(self, tokenizer: Tokenizer, owners: Tensor) -> None:
        super().__init__()
        self._tokenizer = tokenizer.eval().requires_grad_(False)
        self.register_buffer("owners", owners)

    def missed(self, made: Tensor, crop: Crop) -> tuple[Tensor, Tensor]:
        """Samples [B, hop * F] -> the cross-entropy of their contents, and of their phones."""
        _, _, contents, _ = self._tokenizer(noisy(made))
        frames = contents.shape[1]
        judged = crop.judged[:, : HOP * frames : HOP] > 0
        wanted = crop.codes[:, :frames] % contents.shape[2]
        with torch.autocast(made.device.type, enabled=False):
            heard = F.log_softmax(_SHARP * contents[judged].float(), dim=-1)
            phones = torch.zeros(len(heard), int(self.owners.max()) + 1, device=heard.device)
            phones = phones.index_add(1, self.owners, heard.exp())
            told = phones.gather(1, self.owners[wanted[judged]][:, None])
            return F.nll_loss(heard, wanted[judged]), -torch.log(told + _LEAST).mean()


class SpeakerListener(nn.Module):
    """It learns nothing itself."""

    def __init__(self, encoder: SpeakerEncoder) -> None:
        super().__init__()
        self._encoder = encoder.eval().requires_grad_(False)

    def unlike(self, made: Tensor, real: Tensor) -> Tensor:
        """Samples [B, T] each -> how far apart the global tokens are before rounding, squared."""
        with torch.no_grad():
            wanted: Heard = self._encoder(real)
        heard: Heard = self._encoder(noisy(made))
        return F.mse_loss(heard.bounded.float(), wanted.bounded.float())
