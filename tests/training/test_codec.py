"""The codec's modules and what trains them."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from services.codec.families.spark.fsq import Fsq
from services.codec.families.spark.weights import Weights
from training.codec.batches import FRAMES, Batches
from training.codec.modules import Codec, LevelQuantizer
from training.codec.phases import PLANES
from training.codec.sizes import SIZES, CodecSizes
from training.codec.spectra import Spectra
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.export import bicodec
from training.frames import HOP, frames_of
from training.hearing.modules import Tokenizer

TINY = SIZES["tiny"]


@pytest.fixture
def codec() -> Codec:
    torch.manual_seed(0)
    return Codec(TINY)


def test_every_weight_gets_a_gradient(codec: Codec) -> None:
    speaker = codec.speaker_encoder(torch.randn(2, 8000) * 0.1)
    contents, planes = torch.randint(TINY.contents, (2, 20)), torch.randint(PLANES, (2, 20))
    torch.autograd.backward(codec(contents, planes, speaker.d_vector).square().mean())
    assert all(parameter.grad is not None for parameter in codec.parameters() if parameter.requires_grad)


def test_clips_differ_in_their_tokens_from_the_start() -> None:
    torch.manual_seed(0)
    codec = Codec(CodecSizes(ecapa=64, ecapa_joined=96))
    clips = torch.randn(12, 16_000) * torch.linspace(0.05, 1, 12)[:, None]
    codec.speaker_encoder.calibrate(clips)
    with torch.no_grad():
        heard = codec.speaker_encoder(clips)
    assert heard.bounded.std(0).mean() > 0.2
    assert heard.excess < 0.3


def test_levels_are_those_that_are_served() -> None:
    torch.manual_seed(0)
    trained, served = LevelQuantizer(6, (4, 5, 3)), Fsq(6, (4, 5, 3))
    served.project_in.load_state_dict(trained.project_in.state_dict())
    latents = torch.randn(50, 6) * 3
    _, bounded, _ = trained(latents)
    digits = (bounded * trained.scale).round().long() + trained.scale
    assert torch.equal((digits * torch.tensor([1, 4, 20])).sum(-1), served(latents))


def test_what_a_code_adds_to_the_latents_is_in_the_codebook(codec: Codec) -> None:
    codes = torch.randint(TINY.codes, (2, 30))
    served = codec.quantizer.out_project(codec.quantizer.codebook()[codes].transpose(1, 2))
    assert torch.allclose(codec.quantizer(codes % TINY.contents, codes // TINY.contents), served, atol=1e-6)


def test_batches_pair_voices(corpus: Corpus) -> None:
    contents = [np.arange(frames_of(each.samples)).astype(np.uint16) for each in corpus.utterances]
    batches = Batches(corpus, contents, Cast.draw(PUPILS, HELD_OUT_SPEAKERS), 6, TINY.reference_samples, (0,))
    for batch in islice(batches, 6):
        assert batch.contents.shape == batch.planes.shape == (6, FRAMES)
        assert len(batch.reference) == len(batch.traits) == 12
        assert torch.equal(batch.traits[0::2], batch.traits[1::2])
        assert 0.4 * TINY.reference_samples <= batch.reference.shape[1] <= TINY.reference_samples
        for row, samples in zip(batch.contents, batch.samples, strict=True):
            start = HOP * int(row[0])
            wholes = [corpus.samples(index) for index in range(len(corpus.utterances))]
            assert any(torch.equal(whole[start : start + len(samples)], samples) for whole in wholes)


def test_spectra_have_a_frame_for_each_of_wav2vec2s() -> None:
    coarse, fine = Spectra()(torch.randn(2, 16_000))
    assert coarse.shape == (2, frames_of(16_000), Spectra.coarse_width)
    assert fine.shape == (2, frames_of(16_000), Spectra.fine_width)


def test_spectra_are_centred_on_the_frames() -> None:
    """A click in the middle of a frame is loudest in that frame."""
    samples = torch.zeros(1, 16_000)
    samples[0, 20 * 320 + 200] = 1.0
    coarse, fine = Spectra()(samples)
    assert coarse[0, :, :80].sum(1).argmax() == 20
    assert fine[0].sum(1).argmax() == 20


def test_folding_the_weight_norm_gives_back_the_weight() -> None:
    weight = torch.randn(8, 4, 7)
    published = dict(bicodec._published("decoder.model.0.weight", weight))
    folded = Weights(Path("file"), {name: bicodec._half(value) for name, value in published.items()})
    assert torch.allclose(folded.tensor("decoder.model.0.weight", (8, 4, 7)), weight, atol=2e-3)


def test_the_small_codec_leaves_room_for_a_language_model() -> None:
    """In half precision, without the wave generator: of 40 MB in all."""
    sizes = SIZES["small"]
    parts = (Codec(sizes), Tokenizer(sizes, torch.zeros(sizes.contents, sizes.content_width)))
    count = sum(parameter.numel() for part in parts for parameter in part.parameters())
    assert 2 * count < 22_000_000
