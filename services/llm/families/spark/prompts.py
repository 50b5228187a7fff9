"""The prompts of Spark-TTS, as ids. Source: the reference's SparkTTS.py, process_prompt and process_prompt_control."""

from dataclasses import dataclass

from services.contract.design import DesignedVoice, Gender, Level
from services.contract.families.spark import SparkSpeaker
from services.llm.families.spark.tokens import GENDER, PITCH, SPEED, TokenTable

Ids = tuple[int, ...]

# Numbers of the attribute tokens (sparktts/utils/token_parser.py).
GENDERS = {Gender.FEMALE: 0, Gender.MALE: 1}
LEVELS = {Level.VERY_LOW: 0, Level.LOW: 1, Level.MODERATE: 2, Level.HIGH: 3, Level.VERY_HIGH: 4}

CLONE_TOKENS = ("task_tts", "start_content", "end_content", "start_global_token", "end_global_token")
CONTINUE_TOKENS = (*CLONE_TOKENS, "start_semantic_token")
DESIGN_TOKENS = (
    "task_controllable_tts",
    "start_content",
    "end_content",
    "start_style_label",
    "end_style_label",
    "start_global_token",
    "end_global_token",
)


@dataclass(frozen=True)
class Codebooks:
    """Ids of the semantic and of the global codes, by code."""

    semantic: Ids
    globals_: Ids


class SparkPrompts:
    """`text` is ids of user text everywhere; codes and speakers have been checked."""

    def __init__(self, tokens: TokenTable, codebooks: Codebooks) -> None:
        self._tokens = tokens
        self._codebooks = codebooks

    def clone(self, text: Ids, global_tokens: Ids) -> Ids:
        speaker = (self._id("start_global_token"), *self._globals(global_tokens), self._id("end_global_token"))
        return self._content("task_tts", text) + speaker

    def continuation(self, text: Ids, global_tokens: Ids, codes: Ids) -> Ids:
        """`text` is the transcript and the segment, encoded as one string without a separator."""
        spoken = tuple(self._codebooks.semantic[code] for code in codes)
        return (*self.clone(text, global_tokens), self._id("start_semantic_token"), *spoken)

    def design(self, text: Ids, design: DesignedVoice) -> Ids:
        """The model goes on with the acoustic block: style tokens, global tokens, `<|end_global_token|>`."""
        style = (
            self._id("start_style_label"),
            self._id(f"{GENDER}_{GENDERS[design.gender]}"),
            self._id(f"{PITCH}_{LEVELS[design.pitch]}"),
            self._id(f"{SPEED}_{LEVELS[design.speed]}"),
            self._id("end_style_label"),
        )
        return self._content("task_controllable_tts", text) + style

    def pinned_design(self, text: Ids, design: DesignedVoice, speaker: SparkSpeaker) -> Ids:
        """With the acoustic block that the model wrote before, token for token."""
        block = (*speaker.style_tokens, *self._globals(speaker.global_tokens), self._id("end_global_token"))
        return self.design(text, design) + block

    def _content(self, task: str, text: Ids) -> Ids:
        return (self._id(task), self._id("start_content"), *text, self._id("end_content"))

    def _globals(self, global_tokens: Ids) -> Ids:
        return tuple(self._codebooks.globals_[code] for code in global_tokens)

    def _id(self, name: str) -> int:
        return self._tokens.id(name)
