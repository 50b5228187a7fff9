"""The tokenizer: bytes of lower-case text, and Spark-TTS's tokens under their published names and in their order."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from training.codec.phases import PLANES

BYTES = 256
PAD, END = "<|endoftext|>", "<|im_end|>"
SPECIAL = (PAD, "<|im_start|>", END)
CONTEXT = 4096
# The acoustic block: the median f0 by tens of Hz, words per second by halves.
PITCH_VALUES, SPEED_VALUES = 41, 11
_NUMBERED_BEFORE = (
    ("pitch_value", PITCH_VALUES),
    ("pitch_label", 5),
    ("speed_value", SPEED_VALUES),
    ("speed_label", 5),
)
_BLOCKS = ("content", "style_label", "acoustic_token", "global_token", "semantic_token")


@dataclass(frozen=True)
class Vocabulary:
    """semantic, globals_: how many codes there are of each."""

    semantic: int
    globals_: int

    @property
    def contents(self) -> int:
        """What the codes can say; see training.codec.phases."""
        return self.semantic // PLANES

    @cached_property
    def added(self) -> tuple[str, ...]:
        return tuple(self._added())

    def _added(self) -> Iterator[str]:
        yield from SPECIAL
        counts = (
            ("bicodec_global", self.globals_),
            ("bicodec_semantic", self.semantic),
            *_NUMBERED_BEFORE,
            ("gender", 3),
        )
        for name, count in counts:
            yield from (f"<|{name}_{index}|>" for index in range(count))
        yield from ("<|task_tts|>", "<|task_controllable_tts|>")
        for edge in ("start", "end"):
            yield from (f"<|{edge}_{block}|>" for block in _BLOCKS)

    @cached_property
    def ids(self) -> dict[str, int]:
        return {content: BYTES + index for index, content in enumerate(self.added)}

    def __len__(self) -> int:
        return BYTES + len(self.added)

    def id(self, name: str) -> int:
        """Of `<|name|>`."""
        return self.ids[f"<|{name}|>"]

    @property
    def end(self) -> int:
        return self.ids[END]

    @property
    def pad(self) -> int:
        return self.ids[PAD]


def encode(text: str) -> list[int]:
    """What the tokenizer makes of plain ASCII text."""
    return list(text.lower().encode("ascii"))


def write(folder: Path, vocabulary: Vocabulary) -> None:
    """The tokenizer's files, as transformers reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(vocabulary).save(str(folder / "tokenizer.json"), pretty=False)
    _dump(folder / "vocab.json", _alphabet())
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    (folder / "added_tokens.json").write_text(json.dumps(vocabulary.ids, separators=(",", ":")), encoding="utf-8")
    _dump(folder / "special_tokens_map.json", {"eos_token": END, "pad_token": PAD})
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "bos_token": None,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    _dump(folder / "tokenizer_config.json", config)


def _tokenizer(vocabulary: Vocabulary) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(vocab=_alphabet(), merges=[]))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    for content in vocabulary.added:
        special = content in SPECIAL
        tokenizer.add_tokens([AddedToken(content, special=special, normalized=False)])
    return tokenizer


def _alphabet() -> dict[str, int]:
    """Characters that stand for bytes (as GPT-2 has them) -> bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    others = [byte for byte in range(BYTES) if byte not in printable]
    characters = {byte: chr(byte) for byte in printable} | {
        byte: chr(BYTES + place) for place, byte in enumerate(others)
    }
    return {characters[byte]: byte for byte in range(BYTES)}


def _dump(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
