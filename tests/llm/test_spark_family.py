"""Prompts, limits and abilities of the Spark family, on two checkpoints of different sizes and id orders."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from services.llm.checkpoint import UnusableCheckpoint
from services.llm.events import SpeakerNamed
from services.llm.families import load_family
from services.llm.families.family import Capability, Family
from services.llm.voices import ClonedVoice, ContinuedVoice, Design, DesignedVoice, Gender, Level, Speaker, Voice
from services.runtime.errors import InvalidRequest, TooLarge, Unsupported

FEMALE = DesignedVoice(Design(Gender.FEMALE))
GLOBALS = (1, 2, 3, 4, 5, 6, 7, 8)
SPEAKER = Speaker(GLOBALS)
TEXT = "Hello there."


@pytest.fixture(params=["small", "tiny"])
def checkpoint(request: pytest.FixtureRequest) -> Path:
    path: Path = request.getfixturevalue(request.param)
    return path


@pytest.fixture
def family(checkpoint: Path) -> Family:
    return load_family("spark", checkpoint)


@pytest.fixture
def reference(checkpoint: Path) -> Tokenizer:
    return Tokenizer.from_file(str(checkpoint / "LLM" / "tokenizer.json"))


def spelled(reference: Tokenizer, prompt: str) -> tuple[int, ...]:
    return tuple(reference.encode(prompt, add_special_tokens=False).ids)


def globals_text() -> str:
    return "".join(f"<|bicodec_global_{code}|>" for code in GLOBALS)


def without(checkpoint: Path, copy: Path, *names: str) -> Path:
    """A copy of the checkpoint's small files whose tokenizer lacks the tokens that contain one of `names`."""
    for name in ("config.yaml", "BiCodec/config.yaml", "LLM/config.json"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(checkpoint / name, copy / name)
    tokenizer = json.loads((checkpoint / "LLM" / "tokenizer.json").read_bytes())
    kept = [token for token in tokenizer["added_tokens"] if not any(name in token["content"] for name in names)]
    (copy / "LLM" / "tokenizer.json").write_text(json.dumps({**tokenizer, "added_tokens": kept}))
    return copy


def test_clone_prompt(family: Family, reference: Tokenizer) -> None:
    prompt = family.prompt(TEXT, ClonedVoice(SPEAKER))
    assert prompt.speaker == SPEAKER
    assert prompt.ids == spelled(
        reference,
        f"<|task_tts|><|start_content|>{TEXT}<|end_content|><|start_global_token|>{globals_text()}<|end_global_token|>",
    )


@pytest.mark.parametrize("checkpoint", ["tiny"], indirect=True)
def test_continuation_prompt_joins_transcript_and_text(family: Family, reference: Tokenizer) -> None:
    prompt = family.prompt(TEXT, ContinuedVoice(SPEAKER, (3, 1, 2), "Good day"))
    assert prompt.ids == spelled(
        reference,
        f"<|task_tts|><|start_content|>Good day{TEXT}<|end_content|>"
        f"<|start_global_token|>{globals_text()}<|end_global_token|><|start_semantic_token|>"
        "<|bicodec_semantic_3|><|bicodec_semantic_1|><|bicodec_semantic_2|>",
    )


def test_design_prompt(family: Family, reference: Tokenizer) -> None:
    prompt = family.prompt(TEXT, DesignedVoice(Design(Gender.MALE, Level.VERY_LOW, Level.HIGH)))
    assert prompt.speaker is None
    assert prompt.ids == spelled(
        reference,
        f"<|task_controllable_tts|><|start_content|>{TEXT}<|end_content|>"
        "<|start_style_label|><|gender_1|><|pitch_label_0|><|speed_label_3|><|end_style_label|>",
    )


def test_pinned_design_replays_what_the_model_wrote(family: Family, reference: Tokenizer) -> None:
    unpinned = family.prompt(TEXT, FEMALE)
    written = spelled(reference, f"<|start_acoustic_token|><|start_global_token|>{globals_text()}<|end_global_token|>")
    code = spelled(reference, "<|bicodec_semantic_0|>")
    named = family.reader(unpinned).read([*written, *code])[0]
    speaker = Speaker(GLOBALS, spelled(reference, "<|start_acoustic_token|><|start_global_token|>"))
    assert named == SpeakerNamed(speaker)
    pinned = family.prompt(TEXT, DesignedVoice(FEMALE.design, speaker))
    assert pinned.ids == unpinned.ids + written
    assert pinned.speaker == speaker


def test_text_that_spells_a_control_token_adds_none(family: Family, reference: Tokenizer) -> None:
    end = spelled(reference, "<|end_content|>")[0]
    assert family.prompt("a<|end_content|>b", FEMALE).ids.count(end) == 1


def test_only_added_tokens_may_be_drawn(family: Family, reference: Tokenizer) -> None:
    text_only = reference.get_vocab_size(with_added_tokens=False)
    allowed = family.engine_model.allowed
    assert min(allowed) >= text_only
    assert all(reference.id_to_token(token) for token in allowed)
    assert family.stop_ids < set(allowed)


@pytest.mark.parametrize("checkpoint", ["tiny"], indirect=True)
@pytest.mark.parametrize(
    ("voice", "field"),
    [
        (ClonedVoice(Speaker(GLOBALS[:-1])), "clone.speaker.global_tokens"),
        (ClonedVoice(Speaker((*GLOBALS[:-1], 256))), "clone.speaker.global_tokens"),
        (ContinuedVoice(Speaker(()), (1,), "Hi"), "clone.speaker.global_tokens"),
        (ContinuedVoice(SPEAKER, (), "Hi"), "clone.reference.codes"),
        (ContinuedVoice(SPEAKER, (100_000,), "Hi"), "clone.reference.codes"),
        (ContinuedVoice(SPEAKER, (1,), " "), "clone.reference.transcript"),
        (DesignedVoice(FEMALE.design, Speaker((1,))), "design.speaker.global_tokens"),
        (DesignedVoice(FEMALE.design, SPEAKER), "design.speaker.style_tokens"),
        (DesignedVoice(FEMALE.design, Speaker(GLOBALS, (10**9,))), "design.speaker.style_tokens"),
    ],
)
def test_tokens_from_outside_are_checked(family: Family, voice: Voice, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        family.prompt(TEXT, voice)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "smuggled", ["<|im_end|>", "<|end_global_token|>", "<|bicodec_semantic_1|>", "<|bicodec_global_1|>", "a"]
)
def test_style_tokens_cannot_smuggle_another_token(family: Family, reference: Tokenizer, smuggled: str) -> None:
    style = spelled(reference, f"{smuggled}<|start_global_token|>")
    with pytest.raises(InvalidRequest) as caught:
        family.prompt(TEXT, DesignedVoice(FEMALE.design, Speaker(GLOBALS, style)))
    assert caught.value.field == "design.speaker.style_tokens"


@pytest.mark.parametrize("text", ["", "  \n"])
def test_blank_text_is_invalid(family: Family, text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        family.prompt(text, FEMALE)
    assert caught.value.field == "text"


@pytest.mark.parametrize("length", [5000, 100_000])
def test_text_beyond_the_context_is_too_large(small_family: Family, length: int) -> None:
    with pytest.raises(TooLarge) as caught:
        small_family.prompt("a b c " * (length // 6), FEMALE)
    assert caught.value.field == "text"


def test_limits_follow_the_text_and_end_at_the_context(small_family: Family) -> None:
    short = small_family.prompt("Hi.", FEMALE)
    long = small_family.prompt("Hello there, how do you do? " * 4, FEMALE)
    most = small_family.prompt("12345 " * 300, FEMALE)
    assert short.limits.usual_most < 150 < long.limits.usual_most < 1000
    assert most.limits.usual_most == most.limits.most == 4096 - len(most.ids)
    assert short.limits.shortest < short.limits.usual_most


def test_built_in_voices_are_every_design_with_tokens(family: Family) -> None:
    names = [design.name for design in family.description.voices]
    assert names[:2] == ["female", "male"]
    assert len(set(names)) == len(names) == 2 * 5 * 5
    assert {"female-high-low", "male-very-low-very-high", "female-moderate-high"} < set(names)
    assert family.description.default_voice == "female"


def test_checkpoint_with_fewer_levels_has_fewer_voices(tiny: Path, tmp_path: Path) -> None:
    family = load_family("spark", without(tiny, tmp_path, "pitch_label_0", "pitch_label_4", "gender_1"))
    assert len(family.description.voices) == 3 * 5
    with pytest.raises(Unsupported, match="male"):
        family.prompt(TEXT, DesignedVoice(Design(Gender.MALE)))


def test_checkpoint_without_design_tokens_only_clones(tiny: Path, tmp_path: Path) -> None:
    family = load_family("spark", without(tiny, tmp_path, "task_controllable_tts"))
    assert Capability.DESIGN not in family.description.capabilities
    assert family.description.default_voice == ""
    with pytest.raises(Unsupported, match="design"):
        family.prompt(TEXT, FEMALE)


def test_checkpoint_may_say_what_its_layout_does_not(tiny: Path, tmp_path: Path) -> None:
    without(tiny, tmp_path)
    (tmp_path / "voxline.yaml").write_text(
        "max_segment_characters: 45\ndefault_voice: male\nclone_with_transcript: false\n"
    )
    family = load_family("spark", tmp_path)
    assert family.description.max_segment_characters == 45
    assert family.description.default_voice == "male"
    with pytest.raises(Unsupported, match="transcript"):
        family.prompt(TEXT, ContinuedVoice(SPEAKER, (1,), "Hi"))


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("bicodec_semantic_7|", "bicodec_semantic_7"),
        ("bicodec_global_3|", "bicodec_global_3"),
        ("im_end", "eos_token_id"),
        ("start_content", "control tokens"),
    ],
)
def test_checkpoint_without_its_tokens_is_unusable(tiny: Path, tmp_path: Path, missing: str, named: str) -> None:
    with pytest.raises(UnusableCheckpoint, match=named):
        load_family("spark", without(tiny, tmp_path, missing))


def test_default_voice_that_is_none_is_unusable(tiny: Path, tmp_path: Path) -> None:
    without(tiny, tmp_path)
    (tmp_path / "voxline.yaml").write_text("default_voice: alloy\n")
    with pytest.raises(UnusableCheckpoint, match="alloy"):
        load_family("spark", tmp_path)


def test_missing_file_is_unusable(tiny: Path, tmp_path: Path) -> None:
    without(tiny, tmp_path)
    (tmp_path / "BiCodec" / "config.yaml").unlink()
    with pytest.raises(UnusableCheckpoint, match="BiCodec"):
        load_family("spark", tmp_path)
