"""Prompts, limits and abilities of the Spark family, on two checkpoints of different sizes and id orders."""

import json
import shutil
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import Frames
from services.contract.generation import HeardVoice, MadeUpVoice, ModelVoice, Turn, VoiceInput
from services.contract.model import Capability
from services.contract.speaker import Speaker
from services.llm.checkpoint import UnusableCheckpoint
from services.llm.families import load_family
from services.llm.families.family import Family
from services.runtime.errors import InvalidRequest, TooLarge, Unsupported

FEMALE = MadeUpVoice(DesignedVoice(Gender.FEMALE))
GLOBALS = (1, 2, 3, 4, 5, 6, 7, 8)
SPEAKER = SparkSpeaker(GLOBALS).speaker()
TEXT = "Hello there."


def continued(*codes: int, speaker: Speaker = SPEAKER, words: str = "Good day", said_by: str = "") -> HeardVoice:
    return HeardVoice(speaker, (Turn(words, Frames.of_codes(codes), said_by),))


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
    prompt = family.prompt(TEXT, HeardVoice(SPEAKER))
    assert prompt.speaker == SPEAKER
    assert prompt.ids == spelled(
        reference,
        f"<|task_tts|><|start_content|>{TEXT}<|end_content|><|start_global_token|>{globals_text()}<|end_global_token|>",
    )


@pytest.mark.parametrize("checkpoint", ["tiny"], indirect=True)
def test_continuation_prompt_joins_transcript_and_text(family: Family, reference: Tokenizer) -> None:
    prompt = family.prompt(TEXT, continued(3, 1, 2))
    assert prompt.ids == spelled(
        reference,
        f"<|task_tts|><|start_content|>Good day{TEXT}<|end_content|>"
        f"<|start_global_token|>{globals_text()}<|end_global_token|><|start_semantic_token|>"
        "<|bicodec_semantic_3|><|bicodec_semantic_1|><|bicodec_semantic_2|>",
    )


def test_design_prompt(family: Family, reference: Tokenizer) -> None:
    prompt = family.prompt(TEXT, MadeUpVoice(DesignedVoice(Gender.MALE, Level.VERY_LOW, Level.HIGH)))
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
    speaker = family.reader(unpinned).read([*written, *code], last=False).speaker
    style = spelled(reference, "<|start_acoustic_token|><|start_global_token|>")
    assert speaker == SparkSpeaker(GLOBALS, style).speaker()
    pinned = family.prompt(TEXT, MadeUpVoice(FEMALE.design, speaker))
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


STATE, FRAMES = "speaker.speaker.state", "context[0].frames"


@pytest.mark.parametrize("checkpoint", ["tiny"], indirect=True)
@pytest.mark.parametrize(
    ("voice", "field"),
    [
        (HeardVoice(Speaker(b"")), STATE),
        (HeardVoice(Speaker(b"no speaker")), STATE),
        (HeardVoice(SparkSpeaker(GLOBALS[:-1]).speaker()), STATE),
        (HeardVoice(SparkSpeaker((*GLOBALS[:-1], 256)).speaker()), STATE),
        (continued(1, speaker=SparkSpeaker(()).speaker()), STATE),
        (continued(), FRAMES),
        (continued(100_000), FRAMES),
        (HeardVoice(SPEAKER, (Turn("Good day", Frames.of_codes((1, 2), codebooks=2)),)), FRAMES),
        (HeardVoice(SPEAKER, (Turn("Good day"),)), FRAMES),
        (continued(1, said_by="another"), "context"),
        (HeardVoice(SPEAKER, continued(1).context * 2), "context"),
        (MadeUpVoice(FEMALE.design, None, continued(1).context), "context"),
        (MadeUpVoice(FEMALE.design, SparkSpeaker((1,)).speaker()), STATE),
        (MadeUpVoice(FEMALE.design, SPEAKER), STATE),
        (MadeUpVoice(FEMALE.design, SparkSpeaker(GLOBALS, (10**9,)).speaker()), STATE),
    ],
)
def test_what_comes_from_outside_is_checked(family: Family, voice: VoiceInput, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        family.prompt(TEXT, voice)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "smuggled", ["<|im_end|>", "<|end_global_token|>", "<|bicodec_semantic_1|>", "<|bicodec_global_1|>", "a"]
)
def test_style_tokens_cannot_smuggle_another_token(family: Family, reference: Tokenizer, smuggled: str) -> None:
    style = spelled(reference, f"{smuggled}<|start_global_token|>")
    with pytest.raises(InvalidRequest) as caught:
        family.prompt(TEXT, MadeUpVoice(FEMALE.design, SparkSpeaker(GLOBALS, style).speaker()))
    assert caught.value.field == STATE


def test_voice_known_by_its_id_alone_is_another_familys(family: Family) -> None:
    with pytest.raises(Unsupported, match="tara"):
        family.prompt(TEXT, ModelVoice("tara"))


def test_the_model_finds_out_the_language(family: Family) -> None:
    assert family.prompt(TEXT, FEMALE, "de-DE") == family.prompt(TEXT, FEMALE)


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


def test_a_transcript_beyond_any_recording_is_too_large(family: Family) -> None:
    """It is encoded on the event loop, for each segment again."""
    with pytest.raises(TooLarge) as caught:
        family.prompt(TEXT, continued(1, words="a b c " * 2000))
    assert caught.value.field == "transcript"


def test_limits_follow_the_text_and_end_at_the_context(small_family: Family) -> None:
    short = small_family.prompt("Hi.", FEMALE)
    long = small_family.prompt("Hello there, how do you do? " * 4, FEMALE)
    most = small_family.prompt("12345 " * 300, FEMALE)
    assert short.limits.usual_most < 150 < long.limits.usual_most < 1000
    assert most.limits.usual_most == most.limits.most == 4096 - len(most.ids)
    assert short.limits.shortest < short.limits.usual_most


def test_built_in_voices_are_every_design_with_tokens(family: Family) -> None:
    names = [voice.id for voice in family.description.built_in_voices]
    assert names[:2] == ["female", "male"]
    assert len(set(names)) == len(names) == 2 * 5 * 5
    assert {"female-high-low", "male-very-low-very-high", "female-moderate-high"} < set(names)
    assert family.description.default_voice == "female"


def test_checkpoint_with_fewer_levels_has_fewer_voices(tiny: Path, tmp_path: Path) -> None:
    family = load_family("spark", without(tiny, tmp_path, "pitch_label_0", "pitch_label_4", "gender_1"))
    assert len(family.description.built_in_voices) == 3 * 5
    with pytest.raises(Unsupported, match="male"):
        family.prompt(TEXT, MadeUpVoice(DesignedVoice(Gender.MALE)))


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
        family.prompt(TEXT, continued(1))


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
