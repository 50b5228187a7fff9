"""The codec's modules and what trains them."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from services.codec.families.spark.fsq import Fsq
from services.codec.families.spark.quantizer import CodebookSearch
from services.codec.families.spark.weights import Weights
from training.codec.codebook import Codebook
from training.codec.modules import Codec, LevelQuantizer
from training.codec.pairs import Pairs
from training.codec.phases import PLANES
from training.codec.sizes import SIZES, CodecSizes
from training.codec.spectra import Spectra
from training.corpus.__main__ import HELD_OUT_SPEAKERS, PUPILS
from training.corpus.corpus import Corpus
from training.corpus.speakers import Cast
from training.export import bicodec

TINY = SIZES["tiny"]


@pytest.fixture
def codec() -> Codec:
    torch.manual_seed(0)
    return Codec(TINY)


def test_every_weight_of_the_tokenizer_and_prenet_gets_a_gradient(codec: Codec) -> None:
    samples = torch.randn(2, 8000) * 0.1
    _, taps = codec.wav2vec2(samples)
    contents, nearness = codec.quantizer.directions(codec.encode(taps))
    speaker = codec.speaker_encoder(samples)
    output = codec.decode(codec.quantizer.latents(contents, nearness.argmax(-1)), speaker.d_vector)
    torch.autograd.backward(output.square().mean() + nearness.square().mean())
    missing = {
        name for name, parameter in codec.named_parameters() if parameter.requires_grad and parameter.grad is None
    }
    # The last layer of wav2vec2 is there so that the 16th stays unnormalised.
    unused = {name for name in missing if "layers.16." in name or "encoder.layer_norm" in name or "masked" in name}
    assert missing == unused


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


def test_a_codebook_finds_the_clusters(codec: Codec) -> None:
    torch.manual_seed(0)
    centres = F.normalize(torch.randn(20, TINY.content_width))
    codebook = Codebook(codec.quantizer)
    for _ in range(8):
        directions = F.normalize(
            centres[torch.randint(20, (4, 100))] + 0.01 * torch.randn(4, 100, TINY.content_width), dim=-1
        )
        passed, _, commitment = codebook(directions, adapt=True)
        assert torch.equal(passed, directions)
        assert commitment == 0
    codebook.begin()
    nearest = (centres @ codec.quantizer.contents.weight.T).max(1).values
    assert nearest.min() > 0.99
    quantised, codes, commitment = codebook(directions, adapt=False)
    assert commitment < 0.05
    assert torch.allclose(quantised, codec.quantizer.contents.weight[codes], atol=1e-6)


def test_a_code_without_use_is_moved_to_where_latents_are(codec: Codec) -> None:
    torch.manual_seed(0)
    codebook = Codebook(codec.quantizer)
    directions = F.normalize(torch.randn(8, 200, TINY.content_width) + 3, dim=-1)
    codebook(directions, adapt=True)
    codebook.begin()
    with torch.no_grad():
        codec.quantizer.contents.weight[0] = -directions[0, 0]
        codebook.sums[0] = -directions[0, 0]
    for _ in range(250):
        codebook(directions, adapt=True)
    assert (directions.flatten(0, 1) @ codec.quantizer.contents.weight[0]).max() > 0.9


def test_a_codebook_goes_on_after_a_checkpoint(codec: Codec) -> None:
    first = Codebook(codec.quantizer)
    first(F.normalize(torch.randn(4, 100, TINY.content_width), dim=-1), adapt=True)
    first.begin()
    second = Codebook(codec.quantizer)
    second.load_state_dict(first.state_dict())
    directions = F.normalize(torch.randn(1, 10, TINY.content_width), dim=-1)
    assert torch.equal(second(directions, adapt=False)[0], first(directions, adapt=False)[0])
    assert not torch.equal(second(directions, adapt=False)[0], directions)


def test_a_code_is_the_nearest_content_in_the_nearest_plane(codec: Codec) -> None:
    """As it is served, where the codebook's rows hold both."""
    latents = torch.randn(50, TINY.latent)
    contents, nearness = codec.quantizer.directions(latents.T[None])
    expected = codec.quantizer.nearest(contents)[0] + TINY.contents * nearness[0].argmax(-1)
    search = CodebookSearch(TINY.latent, TINY.codes, TINY.code_width)
    search.in_project.load_state_dict(codec.quantizer.in_project.state_dict())
    search.codebook.weight.data.copy_(codec.quantizer.codebook())
    assert torch.equal(search(latents), expected)
    assert len(set((expected // TINY.contents).tolist())) == PLANES


def test_what_a_code_adds_to_the_latents_is_in_the_codebook(codec: Codec) -> None:
    codes = torch.randint(TINY.codes, (2, 30))
    contents = codec.quantizer.contents(codes % TINY.contents)
    served = codec.quantizer.out_project(codec.quantizer.codebook()[codes].transpose(1, 2))
    assert torch.allclose(codec.quantizer.latents(contents, codes // TINY.contents), served, atol=1e-6)


def test_targets_say_what_sources_say(corpus: Corpus) -> None:
    """Where source and target are the same utterance, frames map to themselves."""
    pairs = Pairs(corpus, Cast.draw(PUPILS, HELD_OUT_SPEAKERS), 10.0, TINY.reference_samples, (0,))
    same = 0
    for batch in islice(pairs, 6):
        assert len(batch.source) % 2 == 0
        assert batch.frames.shape == batch.phones.shape
        assert torch.equal(batch.traits[0::2], batch.traits[1::2])
        assert 0.4 * TINY.reference_samples <= batch.reference.shape[1] <= TINY.reference_samples
        assert (batch.frames.diff(dim=1) >= 0).all()
        for source, target, frames in zip(batch.source, batch.target, batch.frames, strict=True):
            if torch.equal(source, target):
                same += 1
                assert torch.equal(frames, torch.arange(len(frames)))
        assert batch.planes.shape == batch.target_planes.shape == batch.frames.shape
        alike = (batch.source == batch.target).all(1)
        assert torch.equal(batch.planes[alike], batch.target_planes[alike])
    assert same > 3


def test_spectra_have_a_frame_for_each_of_wav2vec2s(codec: Codec) -> None:
    samples = torch.randn(2, 16_000)
    with torch.no_grad():
        _, taps = codec.wav2vec2(samples)
    coarse, fine = Spectra()(samples)
    assert coarse.shape == (2, taps.shape[2], Spectra.coarse_width)
    assert fine.shape == (2, taps.shape[2], Spectra.fine_width)


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
    """In half precision, with the wave generator: of 40 MB in all."""
    codec = Codec(SIZES["small"])
    count = sum(parameter.numel() for parameter in codec.parameters())
    assert 2 * count < 22_000_000
