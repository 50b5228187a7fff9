"""What a Spark-TTS checkpoint can do, read off its tokens."""

from itertools import product

from services.contract.design import DesignedVoice
from services.contract.model import BuiltInVoice, Capability, LlmDescription
from services.llm.checkpoint import UnusableCheckpoint
from services.llm.families.spark.config import SparkConfig
from services.llm.families.spark.prompts import CLONE_TOKENS, CONTINUE_TOKENS, DESIGN_TOKENS, GENDERS, LEVELS
from services.llm.families.spark.tokens import GENDER, PITCH, SPEED, TokenTable


def describe(tokens: TokenTable, config: SparkConfig, context: int) -> LlmDescription:
    """`context`: of the model, in tokens, of which each is a frame at most. Raises UnusableCheckpoint for a checkpoint
    that can do nothing, or lacks its own default voice.
    """
    voices = _voices(tokens)
    capabilities = _capabilities(tokens, config, voices)
    if not capabilities:
        raise UnusableCheckpoint("The tokenizer has the control tokens of no prompt: not a Spark-TTS checkpoint.")
    names = [voice.id for voice in voices]
    default = config.extras.default_voice or next(iter(names), "")
    if default and default not in names:
        raise UnusableCheckpoint(f"voxline.yaml: default_voice {default} is none of {', '.join(names)}.")
    longest = config.extras.max_reference_seconds
    return LlmDescription(
        engine="",
        capabilities=capabilities,
        built_in_voices=voices,
        default_voice=default,
        max_segment_characters=config.extras.max_segment_characters,
        max_frames=context,
        max_reference_frames=None if longest is None else int(longest * config.frame_rate),
    )


def _capabilities(tokens: TokenTable, config: SparkConfig, voices: tuple[BuiltInVoice, ...]) -> frozenset[Capability]:
    able = {
        Capability.CLONE: tokens.has(*CLONE_TOKENS),
        Capability.CLONE_WITH_TRANSCRIPT: tokens.has(*CONTINUE_TOKENS) and config.extras.clone_with_transcript,
        Capability.DESIGN: bool(voices),
    }
    return frozenset(capability for capability, can in able.items() if can)


def _voices(tokens: TokenTable) -> tuple[BuiltInVoice, ...]:
    """A voice for each gender, pitch and speed with a token; those with a short name first."""
    if not tokens.has(*DESIGN_TOKENS):
        return ()
    pitches, speeds = tokens.numbered(PITCH), tokens.numbered(SPEED)
    designs = [
        DesignedVoice(gender, pitch, speed)
        for gender, pitch, speed in product(GENDERS, LEVELS, LEVELS)
        if GENDERS[gender] in tokens.numbered(GENDER) and LEVELS[pitch] in pitches and LEVELS[speed] in speeds
    ]
    voices = (BuiltInVoice(design.id, design.display_name, design) for design in designs)
    return tuple(sorted(voices, key=lambda voice: "-" in voice.id))
