"""The first stage: everything that makes tokens, and the part of the decoder that works at their rate."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from training.codec.codebook import Codebook
from training.codec.heads import Depths, Heads
from training.codec.modules import Codec, Heard
from training.codec.pairs import Batch
from training.codec.spectra import Spectra
from training.device import Compute
from training.loop import Figures
from training.optimiser import Optimiser

# Shares of the step's progress.
_FREE_UNTIL, _ALIKE_FROM, _GUIDED_UNTIL, _ADAPT_UNTIL = 0.12, 0.4, 0.5, 0.9
# The speaker encoder has no norms to hold it.
_SLOW = 0.4
_NOISY, _LEAST_DB, _MOST_DB = 0.3, 15.0, 45.0


class FirstStage:
    """One call is one step of the optimiser."""

    def __init__(self, codec: Codec, heads: Heads, batches: Iterator[Batch], compute: Compute, rate: float) -> None:
        self._codec, self._heads, self._batches, self._compute = codec, heads, batches, compute
        self._spectra = Spectra().to(compute.device)
        self.codebook = Codebook(codec.quantizer).to(compute.device)
        rates = [(part, _SLOW * rate if part is codec.speaker_encoder else rate) for part in codec.children()]
        self.optimiser = Optimiser([*rates, (heads, rate)])

    def __call__(self, progress: float) -> Figures:
        batch = next(self._batches)
        if progress >= _FREE_UNTIL:
            self.codebook.begin()
        with self._compute.autocast():
            depths, codes, commitment, heard = self._forward(batch, adapt=progress < _ADAPT_UNTIL)
            losses = self._losses(batch, depths, heard)
        guidance = 1.0 if progress < _GUIDED_UNTIL else 0.2
        loss = (
            losses["mel"]
            + losses["fine"]
            + 0.3 * losses["phones"]
            + losses["planes"]
            + 0.5 * commitment
            + 2 * losses["spread"]
        )
        loss = loss + guidance * (losses["guides"] + 0.5 * losses["traits"] + losses["excess"])
        loss = loss + (0.0 if progress < _ALIKE_FROM else 0.1) * losses["same"]
        norm = self.optimiser.step(loss, progress)
        return {**losses, "commitment": commitment, "norm": norm, **_facts(codes, heard)}

    def _forward(self, batch: Batch, *, adapt: bool) -> tuple[Depths, Tensor, Tensor, Heard]:
        codec = self._codec
        heard, taps = codec.wav2vec2(noisy(batch.source))
        latents = codec.encode(taps)
        contents, nearness = codec.quantizer.directions(latents)
        quantised, codes, commitment = self.codebook(contents, adapt=adapt)
        moved = quantised.gather(1, batch.frames[:, :, None].expand(-1, -1, quantised.shape[2]))
        speaker = codec.speaker_encoder(noisy(batch.reference))
        output = codec.decode(codec.quantizer.latents(moved, batch.target_planes), speaker.d_vector)
        depths = Depths(
            heard=heard.transpose(1, 2),
            taps=taps.transpose(1, 2),
            latents=latents.transpose(1, 2),
            moved=moved,
            nearness=nearness,
            output=output.transpose(1, 2),
            d_vector=speaker.d_vector,
        )
        return depths, codes, commitment, speaker

    def _losses(self, batch: Batch, depths: Depths, heard: Heard) -> dict[str, Tensor]:
        heads = self._heads
        source, _ = self._spectra(batch.source)
        coarse, fine = self._spectra(batch.target)
        mel, refined = heads.output(depths.output).float().split([coarse.shape[2], fine.shape[2]], dim=2)
        guides = [
            F.l1_loss(head(state).float(), source)
            for head, state in (
                (heads.heard, depths.heard),
                (heads.taps, depths.taps),
                (heads.latents, depths.latents),
            )
        ]
        phones = _cross_entropy(heads.phones(depths.moved), batch.phones)
        return {
            "mel": F.l1_loss(mel, coarse),
            "fine": F.l1_loss(refined, fine),
            "guides": torch.stack(guides).mean(),
            "phones": phones,
            "planes": _cross_entropy(depths.nearness, batch.planes),
            "placed": (depths.nearness.argmax(-1) == batch.planes).float().mean(),
            "traits": F.mse_loss(heads.traits(depths.d_vector).float(), batch.traits),
            "same": F.mse_loss(heard.bounded[0::2], heard.bounded[1::2]),
            "excess": heard.excess,
            "spread": _spread(heard.bounded, 0.4) + _spread(depths.moved.flatten(0, 1), 0.25),
        }


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits.float().flatten(0, -2), targets.flatten())


def _spread(values: Tensor, wanted: float) -> Tensor:
    """How far the deviations over axis 0 are below `wanted`: keeps codes and global tokens from collapsing."""
    return F.relu(wanted - (values.float().var(0) + 1e-6).sqrt()).mean()


@torch.no_grad()
def _facts(codes: Tensor, heard: Heard) -> dict[str, Tensor]:
    """perplexity of the codes in the batch; agree: of the digits of global tokens, between two clips of one voice, and
    differ: between clips of (mostly) different voices."""
    shares = torch.bincount(codes.flatten()).float() / codes.numel()
    digits = (heard.bounded * 2).round()
    return {
        "perplexity": torch.special.entr(shares).sum().exp(),
        "agree": (digits[0::2] == digits[1::2]).float().mean(),
        "differ": (digits[0::2] != digits[0::2].roll(1, 0)).float().mean(),
    }


@torch.no_grad()
def noisy(samples: Tensor) -> Tensor:
    """Some rows with noise: recordings are not as clean as the teacher."""
    rows = len(samples), 1
    decibels = torch.empty(rows, device=samples.device).uniform_(_LEAST_DB, _MOST_DB)
    chosen = torch.rand(rows, device=samples.device) < _NOISY
    level = samples.std(1, keepdim=True) * 10 ** (-decibels / 20) * chosen
    return samples + level * torch.randn_like(samples)
