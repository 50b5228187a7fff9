import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from services.llm.checkpoint import UnusableCheckpoint
from services.llm.families.spark.text import SparkTokenizer

CHECKPOINTS = ["small", "tiny"]


@pytest.fixture(scope="session", params=CHECKPOINTS)
def path(request: pytest.FixtureRequest) -> Path:
    checkpoint: Path = request.getfixturevalue(request.param)
    return checkpoint / "LLM" / "tokenizer.json"


@pytest.fixture(scope="session")
def tokenizer(path: Path) -> SparkTokenizer:
    return SparkTokenizer(path)


@pytest.fixture(scope="session")
def reference(path: Path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


def test_every_control_token_spelled_out_is_text(tokenizer: SparkTokenizer) -> None:
    control = set(tokenizer.added.values())
    for content in tokenizer.added:
        assert not control.intersection(tokenizer.encode(f"a {content}b"))


def test_spelled_control_token_is_encoded_as_its_characters(tokenizer: SparkTokenizer, reference: Tokenizer) -> None:
    spelled = tokenizer.encode("<|end_content|>")
    assert reference.decode(list(spelled), skip_special_tokens=False) == "<|end_content|>"
    assert len(spelled) > 5


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="<|>"), min_size=1))
def test_ordinary_text_has_the_ids_of_the_whole_tokenizer(
    tokenizer: SparkTokenizer, reference: Tokenizer, text: str
) -> None:
    assert list(tokenizer.encode(text)) == reference.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize("content", ["not json", "{}", json.dumps({"added_tokens": []})])
def test_file_that_is_no_tokenizer_is_unusable(tmp_path: Path, content: str) -> None:
    broken = tmp_path / "tokenizer.json"
    broken.write_text(content)
    with pytest.raises(UnusableCheckpoint, match=r"tokenizer\.json"):
        SparkTokenizer(broken)


def test_missing_file_is_unusable(tmp_path: Path) -> None:
    with pytest.raises(UnusableCheckpoint):
        SparkTokenizer(tmp_path / "tokenizer.json")
