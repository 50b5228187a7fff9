"""A small corpus of the teacher's speech."""

import pytest
import torch

from training.corpus.__main__ import main as make_corpus
from training.corpus.corpus import Corpus
from training.options import Options
from training.text.__main__ import HELD_OUT, TRAINING

SENTENCES = (
    "A small bird sang in the old oak tree.",
    "Please wait, the second train is late",
    "where did you put my brown leather shoes?",
    "Call number two three five after lunch.",
    "the captain of the ship smiled",
    "Dr. Wilson has 23 white horses and a dog!",
    "Nothing else matters, she said softly",
    "five hundred people walked to the sea",
)


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    """tiny, on the CPU; its data folder has a corpus."""
    folder = tmp_path_factory.mktemp("voice")
    arguments = ["--data", str(folder / "data"), "--out", str(folder / "out"), "--device", "cpu", "--size", "tiny"]
    options = Options.parse(None, [*arguments, "--count", str(len(SENTENCES))])
    options.data.mkdir(parents=True)
    (options.data / TRAINING).write_text("\n".join(SENTENCES) + "\n")
    (options.data / HELD_OUT).write_text("the night is cold and quiet\nshe reads a long letter from home today\n")
    assert make_corpus(options)
    return options


@pytest.fixture(scope="session")
def corpus(options: Options) -> Corpus:
    return Corpus(options.data / "train", torch.device("cpu"))
