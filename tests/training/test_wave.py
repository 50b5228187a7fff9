"""Tokens to samples, as it is trained."""

from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from services.codec.families.spark.decoder import SparkDetokenizer
from training.codec.modules import Codec, SpeakerEncoder
from training.codec.sizes import SIZES
from training.contents import store as contents
from training.corpus.corpus import Corpus
from training.corpus.render import tilted
from training.export import audio, bicodec
from training.frames import FIRST_FRAME, HOP
from training.tokens import store
from training.tokens.store import Tokens
from training.wave.crops import AFTER, BEFORE, Crop, Crops
from training.wave.discriminator import Discriminator, judge_loss, maker_losses
from training.wave.fundamental import Fundamental
from training.wave.listener import SpeakerListener
from training.wave.modules import Decoder
from training.wave.spectral import SpectralLoss

TINY = SIZES["tiny"]
FRAMES, CONTENTS = 40, 1000


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder, codec = tmp_path_factory.mktemp("voice"), Codec(TINY)
    bicodec.write_config(folder, TINY)
    audio.write(folder, TINY)
    bicodec.write_weights(folder, codec.published())
    return folder


@pytest.fixture
def tokens(corpus: Corpus, tmp_path: Path) -> Tokens:
    """The content of a frame is its number."""
    codes = [np.arange((each.samples - 400) // HOP + 1).astype(np.uint16) for each in corpus.utterances]
    globals_ = np.arange(len(codes))[:, None].repeat(TINY.speaker_tokens, 1).astype(np.uint16)
    contents.write(tmp_path, 0, codes)
    store.write(tmp_path, 0, globals_)
    return Tokens.read(tmp_path, tmp_path, corpus)


def test_the_decoder_is_served_as_it_was_trained(voice: Path) -> None:
    decoder = Decoder(voice)
    codes, globals_ = torch.randint(TINY.codes, (1, 30)), torch.randint(16, (1, TINY.speaker_tokens))
    with torch.no_grad():
        trained = decoder(codes, globals_)[0].numpy()
    bicodec.write_weights(voice, decoder.state_dict())
    served = SparkDetokenizer.load(voice, precision="f32").decode(globals_[0].tolist(), codes[0].tolist())
    assert np.abs(trained - served).max() < 0.02 * np.abs(trained).max()


def test_everything_but_the_codebook_learns(voice: Path) -> None:
    decoder = Decoder(voice)
    sound = decoder(torch.randint(TINY.codes, (2, 30)), torch.zeros(2, TINY.speaker_tokens, dtype=torch.long))
    torch.autograd.backward(sound.sum())
    missing = [name for name, parameter in decoder.named_parameters() if parameter.grad is None]
    assert missing == ["quantizer.codebook.weight"]


def test_crops_hold_the_samples_of_their_tokens(corpus: Corpus, tokens: Tokens) -> None:
    edges = set()
    for crop in islice(Crops(corpus, tokens, FRAMES, 6, CONTENTS, (), (0,)), 12):
        for codes, samples, judged, globals_ in zip(crop.codes, crop.samples, crop.judged, crop.globals_, strict=True):
            start = int(codes[0]) % CONTENTS
            whole = corpus.samples(int(globals_[0]))
            assert torch.equal(whole[HOP * start : HOP * (start + FRAMES)], samples)
            guessed = int((codes == codes[-1]).sum()) - 1
            assert judged[HOP * BEFORE : len(judged) - HOP * (guessed + AFTER)].all()
            assert not guessed or not judged[len(judged) - HOP * (guessed + AFTER) :].any()
            assert judged[0] == (start == 0)
            assert globals_.shape == (TINY.speaker_tokens,)
            edges.add((bool(judged[0]), bool(judged[-1])))
    assert {(True, False), (False, True)} <= edges


def test_some_voices_are_heard_more_often(corpus: Corpus, tokens: Tokens) -> None:
    rare, often = corpus.utterances[0].voice, corpus.utterances[1].voice
    crops = Crops(corpus, tokens, FRAMES, 8, CONTENTS, [often], (0,))
    heard = [corpus.utterances[crops._place()[0]].voice for _ in range(300)]
    assert heard.count(often) > 120 > heard.count(rare) > 0


def test_rare_phones_are_chosen_as_often_as_others(corpus: Corpus, tokens: Tokens) -> None:
    """One is chosen among all that the voice says, then a place where it says it."""
    voice = corpus.utterances[0].voice
    crops = Crops(corpus, tokens, FRAMES, 8, CONTENTS, [voice], (0,))
    said = Counter(int(phone) for index in corpus.by_voice[voice] for phone in corpus.utterances[index].phones[:, 0])
    (places,) = crops._phones
    assert sorted(map(len, places)) == sorted(said.values())


def test_too_short_a_corpus_is_an_error(corpus: Corpus, tokens: Tokens) -> None:
    with pytest.raises(ValueError, match="9999 frames"):
        Crops(corpus, tokens, 9999, 2, CONTENTS, (), (0,))


def test_tokens_of_another_corpus_are_an_error(corpus: Corpus, tmp_path: Path) -> None:
    store.write(tmp_path, 0, np.zeros((1, 4), np.uint16))
    with pytest.raises(ValueError, match="1 utterances"):
        Tokens.read(tmp_path, tmp_path, corpus)
    contents.write(tmp_path, 0, [np.zeros(3, np.uint16)])
    with pytest.raises(ValueError, match="1 utterances"):
        contents.read(tmp_path, corpus)


def test_the_spectral_loss_is_least_for_the_same_sound() -> None:
    torch.manual_seed(0)
    loss, sound = SpectralLoss(), torch.randn(2, 8000) * 0.1
    near, far = sound + 0.01 * torch.randn_like(sound), torch.randn(2, 8000) * 0.3
    same, closer, further = (sum(loss(made, sound)).item() for made in (sound, near, far))
    assert same < 1e-6
    assert closer < further


def test_colour_is_what_lasts() -> None:
    torch.manual_seed(0)
    first, second = (0.1 * torch.randn(1, 16_000) for _ in range(2))
    bright = torch.from_numpy(tilted(first[0].double().numpy(), 3.0)).float()[None]
    mel, _, colour, brightness = SpectralLoss()(first, second)
    assert colour < mel / 2
    _, _, another_colour, another_brightness = SpectralLoss()(bright, second)
    assert another_colour > 2 * colour
    assert another_brightness > 100 * brightness


def buzz(f0: float, turns: float) -> Crop:
    """Half a second of six harmonics."""
    frames = torch.arange(25)[None]
    centres = FIRST_FRAME // 2 + HOP * frames
    phase = turns + f0 * torch.arange(HOP * 25)[None] / 16_000
    return Crop(
        codes=frames,
        globals_=frames[:, : TINY.speaker_tokens],
        f0=torch.full(frames.shape, f0),
        phase=(turns + f0 * centres / 16_000) % 1,
        samples=sum((torch.cos(2 * torch.pi * n * phase) / n for n in range(1, 7)), torch.zeros(())) * 0.1,
        judged=torch.ones(1, HOP * 25),
    )


def test_harmonics_are_compared_as_waves() -> None:
    loss, real = Fundamental(TINY.latent), buzz(130.0, 0.2)
    apart = [loss.heard(buzz(130.0, turns).samples, real.samples, real).item() for turns in (0.2, 0.21, 0.25, 0.7)]
    assert apart == sorted(apart)
    assert apart[0] < 0.01
    assert apart[1] < 0.25
    assert apart[3] > 0.7
    louder = loss.heard(2 * real.samples, real.samples, real).item()
    assert 0.5 < louder < 1.0
    assert 0.5 < loss.heard(torch.zeros_like(real.samples), real.samples, real).item() < 1.0


def test_the_fundamental_can_be_foretold_from_frames_that_hold_it() -> None:
    torch.manual_seed(0)
    loss, crop = Fundamental(32), buzz(130.0, 0.2)
    turns = 2 * torch.pi * crop.phase
    frames = F.pad(torch.stack([turns.cos(), turns.sin()], dim=1), (0, 0, 0, 30))
    before = loss.foretold(frames, crop).item()
    adam = torch.optim.Adam(loss.parameters(), 0.05)
    for _ in range(150):
        adam.zero_grad()
        torch.autograd.backward(loss.foretold(frames, crop))
        adam.step()
    assert loss.foretold(frames, crop).item() < 0.05 < before


def test_silence_has_a_gradient() -> None:
    made = torch.zeros(1, 8000, requires_grad=True)
    torch.autograd.backward(sum(SpectralLoss()(made, torch.randn(1, 8000))))
    assert made.grad is not None
    assert made.grad.isfinite().all()


def test_another_voice_is_less_like_the_speaker(voice: Path, corpus: Corpus) -> None:
    speakers = SpeakerListener(SpeakerEncoder.exported(voice, TINY))
    first, second, *_ = corpus.by_voice
    own, other = (corpus.samples(corpus.by_voice[name][0])[None, :16_000] for name in (first, second))
    made = other.clone().requires_grad_()
    torch.manual_seed(0)
    unlike = speakers.unlike(made, own)
    assert speakers.unlike(own, own) < 0.1 * unlike.item()
    torch.autograd.backward(unlike)
    assert made.grad is not None
    assert made.grad.any()
    assert not any(parameter.requires_grad for parameter in speakers.parameters())


def test_judges_learn_to_tell_noise_from_tones() -> None:
    torch.manual_seed(0)
    judges = Discriminator(4)
    adam = torch.optim.Adam(judges.parameters(), 2e-3)
    tones = torch.sin(torch.arange(8000)[None] * torch.tensor([[0.1], [0.2]])) * 0.3
    for _ in range(25):
        noise = torch.randn(2, 8000) * 0.3
        loss = judge_loss(judges(noise), judges(tones))
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
    assert loss < 1.0
    with torch.no_grad():
        fooled, seen = maker_losses(judges(noise), judges(tones))
        honest, alike = maker_losses(judges(tones), judges(tones))
    assert honest < fooled
    assert alike < 1e-6 < seen
