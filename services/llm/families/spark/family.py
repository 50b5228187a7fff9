"""Spark-TTS: a Qwen2 model that writes BiCodec tokens."""

from pathlib import Path
from typing import assert_never

from services.llm.checkpoint import LlmConfig, UnusableCheckpoint, load_config
from services.llm.engines.engine import EngineModel
from services.llm.families.family import Capability, Limits, Prompt
from services.llm.families.spark.abilities import describe
from services.llm.families.spark.config import SparkConfig, load_spark_config
from services.llm.families.spark.length import longest_seconds, shortest_seconds
from services.llm.families.spark.prompts import Codebooks, SparkPrompts
from services.llm.families.spark.reader import Alphabet, SparkReader
from services.llm.families.spark.speakers import SpeakerRules
from services.llm.families.spark.text import SparkTokenizer
from services.llm.families.spark.tokens import GLOBAL, SEMANTIC, TokenTable
from services.llm.voices import ClonedVoice, ContinuedVoice, DesignedVoice, Speaker, Voice
from services.runtime.errors import InvalidRequest, TooLarge, Unsupported

# A tenth of a second: less is a click, not an utterance.
_FEWEST_CODES = 5
# No tokenizer packs more text into a token; saves encoding what cannot fit.
_MOST_CHARACTERS_PER_TOKEN = 16


class SparkFamily:
    def __init__(self, directory: Path, tokenizer: SparkTokenizer, llm: LlmConfig, config: SparkConfig) -> None:
        tokens = TokenTable(tokenizer.added)
        codebooks = Codebooks(
            tokens.codes(SEMANTIC, config.codebook_size), tokens.codes(GLOBAL, config.global_codebook_size)
        )
        self.description = describe(tokens, config)
        self.engine_model = _engine_model(directory, llm, tokens)
        self.stop_ids = _stop_ids(llm, tokens)
        self._tokenizer = tokenizer
        self._frame_rate = config.frame_rate
        self._prompts = SparkPrompts(tokens, codebooks)
        self._alphabet = _alphabet(tokens, codebooks, config)
        self._rules = _rules(tokens, codebooks, config, self.stop_ids)

    @classmethod
    def load(cls, checkpoint: Path) -> "SparkFamily":
        directory = checkpoint / "LLM"
        tokenizer = SparkTokenizer(directory / "tokenizer.json")
        return cls(directory, tokenizer, load_config(directory), load_spark_config(checkpoint))

    def prompt(self, text: str, voice: Voice) -> Prompt:
        if not text.strip():
            raise InvalidRequest("There is no text to speak.", field="text")
        if len(text) > self.engine_model.context * _MOST_CHARACTERS_PER_TOKEN:
            raise TooLarge(f"{len(text)} characters exceed the context of the model.", field="text")
        ids, speaker, prelude = self._begin(text, voice)
        return Prompt(ids, speaker, self._limits(text, len(ids), prelude), prelude)

    def reader(self, prompt: Prompt) -> SparkReader:
        return SparkReader(self._alphabet, prompt.speaker)

    def _begin(self, text: str, voice: Voice) -> tuple[tuple[int, ...], Speaker | None, int]:
        """Prompt ids, the speaker in them, and how many tokens at least the model writes before the first code."""
        match voice:
            case ClonedVoice(speaker):
                return self._clone(text, speaker), speaker, 1
            case ContinuedVoice(speaker):
                return self._continuation(text, voice), speaker, 0
            case DesignedVoice():
                return self._design(text, voice)
        assert_never(voice)

    def _clone(self, text: str, speaker: Speaker) -> tuple[int, ...]:
        self._require(Capability.CLONE)
        self._rules.check_globals(speaker.global_tokens, "clone.speaker.global_tokens")
        return self._prompts.clone(self._tokenizer.encode(text), speaker.global_tokens)

    def _continuation(self, text: str, voice: ContinuedVoice) -> tuple[int, ...]:
        self._require(Capability.CLONE_WITH_TRANSCRIPT)
        self._rules.check_globals(voice.speaker.global_tokens, "clone.speaker.global_tokens")
        self._rules.check_codes(voice.codes, "clone.reference.codes")
        if not voice.transcript.strip():
            raise InvalidRequest("A reference needs its transcript.", field="clone.reference.transcript")
        spoken = self._tokenizer.encode(voice.transcript + text)
        return self._prompts.continuation(spoken, voice.speaker.global_tokens, voice.codes)

    def _design(self, text: str, voice: DesignedVoice) -> tuple[tuple[int, ...], Speaker | None, int]:
        self._require(Capability.DESIGN)
        if voice.design not in self.description.voices:
            raise Unsupported(f"This model has no voice {voice.design.name}.")
        encoded = self._tokenizer.encode(text)
        if voice.speaker is None:
            return self._prompts.design(encoded, voice.design), None, self._rules.global_token_count + 3
        self._rules.check_designed(voice.speaker, "design.speaker")
        return self._prompts.pinned_design(encoded, voice.design, voice.speaker), voice.speaker, 1

    def _require(self, capability: Capability) -> None:
        if capability not in self.description.capabilities:
            raise Unsupported(f"This model cannot {capability.value}.")

    def _limits(self, text: str, prompt_tokens: int, prelude: int) -> Limits:
        """The usual bounds are the prelude and as many frames as `shortest_seconds` and `longest_seconds` hold."""
        room = self.engine_model.context - prompt_tokens
        shortest = prelude + _FEWEST_CODES
        if shortest > room:
            raise TooLarge(
                f"The text makes a prompt of {prompt_tokens} tokens; the context of the model is "
                f"{self.engine_model.context}.",
                field="text",
            )
        least = prelude + round(shortest_seconds(text) * self._frame_rate)
        most = prelude + round(longest_seconds(text) * self._frame_rate)
        return Limits(shortest, max(shortest, min(least, room)), min(most, room), room)


def _engine_model(directory: Path, llm: LlmConfig, tokens: TokenTable) -> EngineModel:
    allowed = tokens.all
    if not allowed or allowed[-1] >= llm.vocab_size:
        raise UnusableCheckpoint(f"{directory}: tokenizer.json has ids beyond vocab_size {llm.vocab_size}.")
    return EngineModel(directory, llm.vocab_size, llm.max_position_embeddings, allowed)


def _stop_ids(llm: LlmConfig, tokens: TokenTable) -> frozenset[int]:
    """The reference stops on the end of the text only; after `<|end_semantic_token|>` nothing else ever comes."""
    ends = llm.end_ids.intersection(tokens.all)
    if not ends:
        raise UnusableCheckpoint(f"eos_token_id {sorted(llm.end_ids)} is no added token: the model could never stop.")
    return ends | ({tokens.id("end_semantic_token")} if tokens.has("end_semantic_token") else set())


def _alphabet(tokens: TokenTable, codebooks: Codebooks, config: SparkConfig) -> Alphabet:
    return Alphabet(
        semantic={token: code for code, token in enumerate(codebooks.semantic)},
        globals_={token: code for code, token in enumerate(codebooks.globals_)},
        end_of_globals=tokens.id("end_global_token"),
        global_token_count=config.global_token_count,
    )


def _rules(tokens: TokenTable, codebooks: Codebooks, config: SparkConfig, stop_ids: frozenset[int]) -> SpeakerRules:
    never = stop_ids.union(codebooks.semantic, codebooks.globals_, (tokens.id("end_global_token"),))
    return SpeakerRules(
        global_token_count=config.global_token_count,
        global_codebook_size=config.global_codebook_size,
        codebook_size=config.codebook_size,
        style_ids=frozenset(tokens.all) - never,
        start_of_globals=tokens.id("start_global_token"),
    )
