"""The tokenizer as it is trained."""

from itertools import islice

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from services.codec.families.spark.quantizer import CodebookSearch
from training.codec.modules import Quantizer
from training.codec.phases import PLANES
from training.codec.sizes import SIZES
from training.corpus.corpus import Corpus
from training.frames import HOP, frames_of
from training.hearing.clips import Clips
from training.hearing.modules import Heads, Tokenizer

TINY = SIZES["tiny"]


@pytest.fixture
def tokenizer() -> Tokenizer:
    torch.manual_seed(0)
    return Tokenizer(TINY, F.normalize(torch.randn(TINY.contents, TINY.content_width)))


def test_every_weight_gets_a_gradient(tokenizer: Tokenizer) -> None:
    heads = Heads(TINY)
    heard, taps, contents, planes = tokenizer(torch.randn(2, 8000) * 0.1)
    outputs = (heads.heard(heard), heads.taps(taps), heads.sharp.exp() * contents, planes)
    torch.autograd.backward(sum((output.square().mean() for output in outputs), torch.zeros(())))
    parameters = [*tokenizer.named_parameters(), *heads.named_parameters()]
    missing = {name for name, parameter in parameters if parameter.requires_grad and parameter.grad is None}
    # The last layer of wav2vec2 is there so that the 16th stays unnormalised.
    assert missing == {
        name for name in missing if "layers.16." in name or "encoder.layer_norm" in name or "masked" in name
    }


def test_a_code_is_the_nearest_content_in_the_nearest_plane(tokenizer: Tokenizer) -> None:
    """As it is served, where the codebook's rows hold both."""
    quantizer = Quantizer(TINY)
    quantizer.contents.weight.data.copy_(tokenizer.contents)
    search = CodebookSearch(TINY.latent, TINY.codes, TINY.code_width)
    search.in_project.load_state_dict(tokenizer.in_project.state_dict())
    search.codebook.weight.data.copy_(quantizer.codebook())
    latents = torch.randn(50, TINY.latent)
    contents, planes = tokenizer.near(latents.T[None])
    expected = contents[0].argmax(-1) + TINY.contents * planes[0].argmax(-1)
    assert torch.equal(search(latents), expected)
    assert len(set((expected // TINY.contents).tolist())) == PLANES


def test_clips_hold_the_labels_of_their_samples(corpus: Corpus) -> None:
    contents = [np.arange(frames_of(each.samples)).astype(np.uint16) for each in corpus.utterances]
    for batch in islice(Clips(corpus, contents, 10.0, (0,)), 6):
        assert batch.contents.shape == batch.planes.shape == batch.phones.shape
        assert frames_of(batch.samples.shape[1]) == batch.contents.shape[1]
        known = batch.contents >= 0
        assert torch.equal(known, batch.phones >= 0)
        assert torch.equal(known, batch.planes >= 0)
        for row, samples in zip(batch.contents, batch.samples, strict=True):
            start, count = HOP * int(row[0]), HOP * int((row >= 0).sum())
            wholes = [corpus.samples(index) for index in range(len(corpus.utterances))]
            assert any(torch.equal(whole[start : start + count], samples[:count]) for whole in wholes)
