"""Spark-TTS: a Qwen2 model that writes BiCodec tokens, one a frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import assert_never

from services.contract.families.spark import SparkSpeaker, codec_revision, llm_revision
from services.contract.frames import CodeFormat, FrameFormat
from services.contract.generation import HeardVoice, MadeUpVoice, ModelVoice, Prefix, Turn, VoiceInput
from services.contract.model import Capability, Revision
from services.contract.speaker import Speaker
from services.llm.checkpoint import LlmConfig, UnusableCheckpoint, load_config
from services.llm.engines.engine import EngineModel
from services.llm.families.family import Prompt
from services.llm.families.spark.abilities import describe
from services.llm.families.spark.config import SparkConfig, load_spark_config
from services.llm.families.spark.length import longest_seconds, shortest_seconds
from services.llm.families.spark.prefixes import SparkPrefixes
from services.llm.families.spark.prompts import Codebooks, SparkPrompts
from services.llm.families.spark.reader import Alphabet, SparkReader
from services.llm.families.spark.speakers import SpeakerRules
from services.llm.families.spark.text import SparkTokenizer
from services.llm.families.spark.tokens import GLOBAL, SEMANTIC, TokenTable
from services.llm.sampling import Limits
from services.runtime.errors import GenerationFailed, InvalidRequest, TooLarge, Unsupported

# A tenth of a second: less is a click, not an utterance.
_FEWEST_FRAMES = 5
# Of a text with its transcript, ten minutes of speech: encoding takes the event loop a microsecond a character.
_MOST_CHARACTERS = 8192

# Prompt ids, the speaker in them, and how many tokens at least the model writes before the first frame.
_Begun = tuple[tuple[int, ...], Speaker | None, int]


class SparkFamily:
    tokens_per_frame = 1

    def __init__(self, checkpoint: Path, tokenizer: SparkTokenizer, llm: LlmConfig, config: SparkConfig) -> None:
        tokens = TokenTable(tokenizer.added)
        codebooks = Codebooks(
            tokens.codes(SEMANTIC, config.codebook_size), tokens.codes(GLOBAL, config.global_codebook_size)
        )
        self.description = describe(tokens, config, llm.max_position_embeddings)
        self.frames = FrameFormat(config.frame_rate, CodeFormat(1, config.codebook_size))
        self.engine_model = _engine_model(checkpoint / "LLM", llm, tokens)
        self.stop_ids = _stop_ids(llm, tokens)
        self._checkpoint = checkpoint
        self._tokenizer = tokenizer
        self._prompts = SparkPrompts(tokens, codebooks)
        self._alphabet = _alphabet(tokens, codebooks, config)
        self._rules = _rules(tokens, codebooks, config, self.stop_ids)
        self._prefixes = SparkPrefixes(
            self.frames, codebooks.semantic, frozenset(tokens.all).difference(codebooks.semantic), self.stop_ids
        )

    @classmethod
    def load(cls, checkpoint: Path) -> "SparkFamily":
        directory = checkpoint / "LLM"
        tokenizer = SparkTokenizer(directory / "tokenizer.json")
        return cls(checkpoint, tokenizer, load_config(directory), load_spark_config(checkpoint))

    def revision(self, cache: Path) -> Revision:
        return Revision(codec_revision(self._checkpoint, cache), llm_revision(self._checkpoint, cache))

    def prompt(self, text: str, voice: VoiceInput, language: str = "") -> Prompt:
        """The model finds out the language."""
        if not text.strip():
            raise InvalidRequest("There is no text to speak.", field="text")
        ids, speaker, prelude = self._begin(text, voice)
        return Prompt(ids, speaker, self._limits(text, len(ids), prelude), prelude)

    def drawn(self, prefix: Prefix) -> tuple[int, ...]:
        return self._prefixes.drawn(prefix)

    def reader(self, prompt: Prompt, drawn: Sequence[int] = ()) -> SparkReader:
        reader = SparkReader(self._alphabet, prompt.speaker)
        try:
            if drawn:
                reader.read(drawn, last=False)
        except GenerationFailed as exc:
            raise InvalidRequest(exc.message, field="prefix.resume") from exc
        return reader

    def _begin(self, text: str, voice: VoiceInput) -> _Begun:
        match voice:
            case HeardVoice(speaker, ()):
                return self._clone(text, speaker)
            case HeardVoice(speaker, context):
                return self._continuation(text, speaker, context)
            case MadeUpVoice():
                return self._design(text, voice)
            case ModelVoice(name):
                raise Unsupported(f"This model has no voice {name}.")
        assert_never(voice)

    def _clone(self, text: str, speaker: Speaker) -> _Begun:
        self._require(Capability.CLONE)
        heard = self._rules.heard(speaker)
        ids = self._prompts.clone(self._encoded(text), heard.global_tokens)
        return ids, _named(speaker, heard), 1

    def _continuation(self, text: str, speaker: Speaker, context: tuple[Turn, ...]) -> _Begun:
        self._require(Capability.CLONE_WITH_TRANSCRIPT)
        heard = self._rules.heard(speaker)
        transcript, codes = self._reference(context)
        spoken = self._encoded(text, transcript)
        return self._prompts.continuation(spoken, heard.global_tokens, codes), _named(speaker, heard), 0

    def _encoded(self, text: str, transcript: str = "") -> tuple[int, ...]:
        """The words of a recording, then the text."""
        if len(transcript) + len(text) > _MOST_CHARACTERS:
            field = "text" if len(text) > len(transcript) else "transcript"
            raise TooLarge(f"{len(transcript) + len(text)} characters are more than a model can speak.", field=field)
        return self._tokenizer.encode(transcript + text)

    def _reference(self, context: tuple[Turn, ...]) -> tuple[str, tuple[int, ...]]:
        """Words and codes of the recording that the speech continues."""
        if len(context) != 1 or context[0].speaker:
            raise InvalidRequest("This model continues one turn of the same speaker, and no others.", field="context")
        (turn,) = context
        if turn.frames is None or not len(turn.frames):
            raise InvalidRequest("This model continues a turn that it can hear.", field="context[0].frames")
        self.frames.check(turn.frames, "context[0].frames")
        return turn.text, tuple(turn.frames.codes)

    def _design(self, text: str, voice: MadeUpVoice) -> _Begun:
        self._require(Capability.DESIGN)
        if voice.context:
            raise InvalidRequest("This model continues no turn in a designed voice.", field="context")
        if voice.design not in (known.design for known in self.description.built_in_voices):
            raise Unsupported(f"This model has no voice {voice.design.id}.")
        encoded = self._encoded(text)
        if voice.speaker is None:
            return self._prompts.design(encoded, voice.design), None, self._rules.global_token_count + 3
        pinned = self._rules.made_up(voice.speaker)
        return self._prompts.pinned_design(encoded, voice.design, pinned), _named(voice.speaker, pinned), 1

    def _require(self, capability: Capability) -> None:
        if capability not in self.description.capabilities:
            raise Unsupported(f"This model cannot {capability.name.lower().replace('_', ' ')}.")

    def _limits(self, text: str, prompt_tokens: int, prelude: int) -> Limits:
        """The usual bounds are the prelude and as many frames as `shortest_seconds` and `longest_seconds` hold."""
        room = self.engine_model.context - prompt_tokens
        shortest = prelude + _FEWEST_FRAMES
        if shortest > room:
            raise TooLarge(
                f"The text makes a prompt of {prompt_tokens} tokens; the context of the model is "
                f"{self.engine_model.context}.",
                field="text",
            )
        least = prelude + round(shortest_seconds(text) * self.frames.frame_rate)
        most = prelude + round(longest_seconds(text) * self.frames.frame_rate)
        return Limits(shortest, max(shortest, min(least, room)), min(most, room), room)


def _named(speaker: Speaker, parsed: SparkSpeaker) -> Speaker:
    """The same state, byte by byte, with what is public of it."""
    return Speaker(speaker.state, parsed.global_tokens)


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
        style_ids=frozenset(tokens.all) - never,
        start_of_globals=tokens.id("start_global_token"),
    )
