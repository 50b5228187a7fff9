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
from services.contract.design import DesignedVoice, Gender
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import CodeFormat
from services.contract.generation import HeardVoice, MadeUpVoice
from services.contract.model import Capability
from services.llm.families.spark.family import SparkFamily
from training.codec.__main__ import main as train_codec
from training.codec.sizes import SIZES
from training.contents.__main__ import main as design
from training.corpus.corpus import Corpus
from training.evaluate.__main__ import main as evaluate
from training.evaluate.voice import ExportedVoice
from training.export.__main__ import main as export
from training.export.card import HISTORY, SPEECH
from training.hearing.__main__ import exported_tokenizer
from training.hearing.__main__ import main as train_hearing
from training.llm.__main__ import main as train_llm
from training.loop import read_log
from training.options import Options
from training.phones.__main__ import main as train_ear
from training.tokens.__main__ import main as tokenise
from training.tokens.store import file_of
from training.wave.__main__ import main as train_wave

STEPS = {"codec": 120, "wave": 60, "llm": 150, "hearing": 60, "phones": 60}
TRAINED = {
    "codec": train_codec,
    "wave": train_wave,
    "llm": train_llm,
    "hearing": train_hearing,
    "phones": train_ear,
}
# What must fall, and to which share of what it was; one batch is not like another.
FALLING = {
    "codec": ("mel", 0.95),
    "wave": ("harmonics", 0.75),
    "llm": ("loss", 0.65),
    "hearing": ("content", 0.75),
    "phones": ("said", 0.6),
}
TINY = SIZES["tiny"]
PARITY = Path(__file__).parents[1] / "parity" / "spark-tiny" / "model"
# The first test waits for all the training.
pytestmark = [pytest.mark.smoke, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def made(options: Options) -> Options:
    """All steps in order."""
    assert design(options)
    assert train_codec(replace(options, steps=STEPS["codec"]))
    assert tokenise(options)
    for name in ("hearing", "llm", "wave", "phones"):
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
    some = len(values) // 6
    assert np.mean(values[-some:]) < share * np.mean(values[:some])


def test_a_step_that_is_done_does_nothing_more(made: Options) -> None:
    before = read_log(made.out / "phones")
    assert train_ear(replace(made, steps=STEPS["phones"]))
    assert read_log(made.out / "phones") == before


def test_the_exported_tokenizer_hears_as_the_trained_one(made: Options, voice: Path) -> None:
    """The speaker as its cached tokens say, and the code that was nearest in training."""
    corpus = Corpus(made.data / "train", torch.device("cpu"))
    globals_ = np.concatenate([np.load(file_of(made.out / "tokens" / "train", number)) for number in shards_of(corpus)])
    tokenizer, trained = SparkTokenizer.load(voice), exported_tokenizer(voice, TINY).eval()
    codes, speakers = [], []
    for index in range(16):
        samples = corpus.samples(index)
        heard = tokenizer.tokenize([samples.numpy().astype(np.float64)])[0]
        with torch.no_grad():
            _, _, contents, planes = trained(samples[None])
        nearest = contents[0].argmax(-1) + TINY.contents * planes[0].argmax(-1)
        codes.append(share_of_equals(heard.semantic_tokens, nearest.tolist()))
        speakers.append(share_of_equals(digits(heard.global_tokens), digits(globals_[index].tolist())))
    # Near a border a sample's last bit decides.
    assert np.mean(codes) > 0.95
    assert np.mean(speakers) > 0.8


def shards_of(corpus: Corpus) -> Sequence[int]:
    return sorted({utterance.shard for utterance in corpus.utterances})


def digits(tokens: Sequence[int]) -> list[int]:
    """Of global tokens."""
    base = TINY.speaker_levels[0]
    return [digit for token in tokens for digit in divmod(token, base)]


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
        [
            ("hello there", HeardVoice(SparkSpeaker((0, 1, 2, 3)).speaker())),
            ("hello", MadeUpVoice(DesignedVoice(Gender.FEMALE))),
        ]
    )
    # At least a token for each few characters, as the LLM service asks for.
    assert len(spoken[0].samples) > 400
    assert np.isfinite(spoken[0].samples).all()


def test_the_family_can_do_all_that_it_was_taught(voice: Path) -> None:
    family = SparkFamily.load(voice)
    description = family.description
    assert set(description.capabilities) == set(Capability)
    assert len(description.built_in_voices) == 50
    assert description.default_voice == "female"
    assert family.frames.kind == CodeFormat(codebooks=1, codebook_size=800)


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
    cloning = {"cloned", "continued", "recordings", "resynthesised", "global_tokens"}
    assert figures.keys() == {"ear", "female", "male"} | cloning
    heard = {"picked_right": 0.9, "phone_error_rate": 0.1234, "word_error_rate": 0.5, "duration_ratio": 1.0}
    row = {"voice": "female", "source": "codec reconstruction", "sentences": 120, **heard}
    (made.out / SPEECH).write_text(json.dumps({"figures": [row]}))
    (made.out / HISTORY).write_text("In two sittings.\n")
    export(made)
    card = (made.out / "voice" / "README.md").read_text()
    assert "| female | codec reconstruction | 120 | 0.900 | 0.123 | 0.500 | 1.000 |" in card
    assert "|\n\nIn two sittings.\n\n|" in card
    assert "Not measured" not in card
    assert "$" not in card


def share_of_equals(first: Sequence[int], second: Sequence[int]) -> float:
    assert len(first) == len(second)
    return float(np.mean([one == two for one, two in zip(first, second, strict=True)]))


def unnumbered(name: str) -> str:
    return ".".join("N" if part.isdigit() else part for part in name.split("."))
