"""Every step of the voice, tiny and short: what it makes is served and speaks."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from services.codec.families.spark.decoder import SparkDetokenizer
from services.codec.families.spark.tokenizer import SparkTokenizer
from services.llm.families.family import Capability
from services.llm.families.spark.family import SparkFamily
from services.llm.voices import ClonedVoice, Design, DesignedVoice, Gender, Speaker
from training.alignment.__main__ import main as align
from training.codec.__main__ import main as train_codec
from training.corpus.corpus import Corpus
from training.evaluate.__main__ import main as evaluate
from training.evaluate.voice import ExportedVoice
from training.export.__main__ import main as export
from training.export.card import SPEECH
from training.llm.__main__ import main as train_llm
from training.loop import read_log
from training.options import Options
from training.phones.__main__ import main as train_ear
from training.tokens.__main__ import main as tokenise
from training.tokens.store import Tokens
from training.wave.__main__ import main as train_wave

STEPS = {"codec": 50, "alignment": 150, "wave": 40, "llm": 60, "phones": 60}
TRAINED = {
    "codec": train_codec,
    "alignment": align,
    "wave": train_wave,
    "llm": train_llm,
    "phones": train_ear,
}
# What must fall, and to which share of what it was; one batch is not like another.
FALLING = {
    "codec": ("mel", 0.97),
    "alignment": ("loss", 0.75),
    "wave": ("harmonics", 0.85),
    "llm": ("loss", 0.95),
    "phones": ("said", 0.8),
}
PARITY = Path(__file__).parents[1] / "parity" / "spark-tiny" / "model"


@pytest.fixture(scope="module")
def made(options: Options) -> Options:
    """All steps in order."""
    for name in ("codec", "alignment", "tokens", "wave", "llm", "phones"):
        if name == "tokens":
            assert tokenise(options)
        else:
            assert TRAINED[name](replace(options, steps=STEPS[name]))
    export(options)
    return options


@pytest.fixture(scope="module")
def voice(made: Options) -> Path:
    return made.out / "voice"


@pytest.mark.parametrize("name", STEPS)
def test_losses_fall(made: Options, name: str) -> None:
    figure, share = FALLING[name]
    values = [line[figure] for line in read_log(made.out / name)]
    assert np.isfinite(values).all()
    assert np.mean(values[-2:]) < share * values[0]


def test_a_step_that_is_done_does_nothing_more(made: Options) -> None:
    before = read_log(made.out / "phones")
    assert train_ear(replace(made, steps=STEPS["phones"]))
    assert read_log(made.out / "phones") == before


def test_the_exported_tokenizer_gives_the_cached_tokens(made: Options, voice: Path) -> None:
    corpus = Corpus(made.data / "train", torch.device("cpu"))
    tokens, tokenizer = Tokens.read(made.out / "tokens" / "train", corpus), SparkTokenizer.load(voice)
    heard = [tokenizer.tokenize([corpus.samples(index).numpy().astype(np.float64)])[0] for index in range(6)]
    codes = [
        share_of_equals(each.semantic_tokens, row.tolist()) for each, row in zip(heard, tokens.codes, strict=False)
    ]
    speakers = [
        share_of_equals(each.global_tokens, row.tolist()) for each, row in zip(heard, tokens.globals_, strict=False)
    ]
    # Near a border a sample's last bit decides.
    assert np.mean(codes) > 0.98
    assert np.mean(speakers) > 0.8


def test_codes_are_as_many_as_the_frames_of_the_samples(made: Options) -> None:
    corpus = Corpus(made.data / "train", torch.device("cpu"))
    tokens = Tokens.read(made.out / "tokens" / "train", corpus)
    for utterance, codes in zip(corpus.utterances, tokens.codes, strict=True):
        assert len(codes) == (utterance.samples - 400) // 320 + 1


def test_the_voice_makes_sound_of_tokens(made: Options, voice: Path) -> None:
    corpus = Corpus(made.data / "train", torch.device("cpu"))
    samples = corpus.samples(0).numpy()
    tokens = SparkTokenizer.load(voice).tokenize([samples.astype(np.float64)])[0]
    sound = SparkDetokenizer.load(voice).decode(tokens.global_tokens, tokens.semantic_tokens)
    assert len(sound) == 320 * len(tokens.semantic_tokens)
    assert np.abs(sound).max() > 0.01


def test_the_voice_speaks(voice: Path) -> None:
    """Anything; so soon a designed voice may still not end, or not name its speaker."""
    spoken = ExportedVoice(voice, torch.device("cpu")).say(
        [("hello there", ClonedVoice(Speaker((0, 1, 2, 3)))), ("hello", DesignedVoice(Design(Gender.FEMALE)))]
    )
    # At least a token for each few characters, as the LLM service asks for.
    assert len(spoken[0].samples) > 400
    assert np.isfinite(spoken[0].samples).all()


def test_the_family_can_do_all_that_it_was_taught(voice: Path) -> None:
    description = SparkFamily.load(voice).description
    assert set(description.capabilities) == set(Capability)
    assert len(description.voices) == 50
    assert description.default_voice == "female"
    assert (description.codebook_size, description.global_token_count, description.global_codebook_size) == (800, 4, 16)


def test_the_checkpoint_has_the_names_of_the_published_one(voice: Path) -> None:
    """The layers counted by one: how many there are differs."""
    ours, theirs = (load_file(folder / "BiCodec" / "model.safetensors") for folder in (voice, PARITY))
    assert {unnumbered(name) for name in ours} == {unnumbered(name) for name in theirs}
    stored = {"BiCodec": torch.float16, "wav2vec2-large-xlsr-53": torch.float16, "LLM": torch.bfloat16}
    for folder, halves in stored.items():
        tensors = load_file(voice / folder / "model.safetensors").values()
        assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {halves}


def test_the_evaluation_measures_everything(made: Options) -> None:
    figures = evaluate(replace(made, count=2))
    assert figures.keys() == {"ear", "female", "male", "cloned", "continued", "global_tokens"}
    heard = {"picked_right": 0.9, "phone_error_rate": 0.1234, "word_error_rate": 0.5, "duration_ratio": 1.0}
    row = {"voice": "female", "source": "codec reconstruction", "sentences": 120, **heard}
    (made.out / SPEECH).write_text(json.dumps({"figures": [row]}))
    export(made)
    card = (made.out / "voice" / "README.md").read_text()
    assert "| female | codec reconstruction | 120 | 0.900 | 0.123 | 0.500 | 1.000 |" in card
    assert "Not measured" not in card
    assert "$" not in card


def share_of_equals(first: Sequence[int], second: Sequence[int]) -> float:
    assert len(first) == len(second)
    return float(np.mean([one == two for one, two in zip(first, second, strict=True)]))


def unnumbered(name: str) -> str:
    return ".".join("N" if part.isdigit() else part for part in name.split("."))
