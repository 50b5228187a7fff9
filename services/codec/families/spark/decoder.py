"""BiCodec's decoder: semantic tokens and a speaker to a waveform, whole or streamed, many streams at a time.

A stream with full look-ahead is exact: every layer gives out a column once all that it depends on is there, and
computes each column once. With a shorter look-ahead a step goes on as though the last token were repeated for as long
as the missing tokens would matter; what follows from these guesses is heard, but not kept where it can still be
bettered (`layers.windows.Joint`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from math import inf
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from services.codec.families.spark.config import SparkConfig
from services.codec.families.spark.grouping import Load, forward_tokens, groups
from services.codec.families.spark.layers.codebook import Codebook
from services.codec.families.spark.layers.convolution import reach
from services.codec.families.spark.layers.cpu import Cpu, Precision
from services.codec.families.spark.layers.frames import StateLayout, StreamState
from services.codec.families.spark.layers.generator import WaveGenerator
from services.codec.families.spark.layers.prenet import Prenet
from services.codec.families.spark.layers.speaker import SpeakerDecoder
from services.codec.families.spark.weights import Weights
from services.contract.families.spark import SparkSpeaker
from services.contract.frames import CodeFormat, FrameFormat
from services.contract.speaker import Speaker
from services.runtime.compiled import CACHE
from services.runtime.errors import InvalidRequest

PREFIXES = (
    "quantizer.codebook.",
    "quantizer.out_project.",
    "speaker_encoder.quantizer.project_out.",
    "speaker_encoder.project.",
    "prenet.",
    "decoder.",
)
Samples = NDArray[np.float32]

_log = logging.getLogger(__name__)

# Of whom it is remembered what their global tokens come to.
_SPEAKERS = 64


@dataclass(slots=True, eq=False)
class DecoderStream:
    """One utterance being decoded: made by `SparkDetokenizer.open`, advanced by `step`, dropped at will.

    `look_ahead` in tokens (None: full) may be changed between steps; what has been heard stays.
    """

    look_ahead: int | None
    d_vector: Tensor
    modulation: Tensor
    state: StreamState
    received: int = 0
    emitted: int = 0
    newest: int = 0
    ended: bool = False


Codes = Sequence[int] | NDArray[Any]
"""Semantic tokens: [n], or [n, 1] as frames have them."""

Item = tuple[DecoderStream, Codes, bool]
"""One stream's share of a step: the stream, its next semantic tokens, and whether its utterance ends with them."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One stream in one forward: its new tokens, the last `guessed` of them made up, and tokens of look-ahead."""

    stream: DecoderStream
    codes: list[int]
    guessed: int
    look_ahead: int
    last: bool
    load: Load


class SparkDetokenizer:
    """The decoder half of one checkpoint. One step at a time; `open` may run beside it on another thread.

    `cpu`: what computes it instead of torch's operators; the products are of its type, all else is float32.
    """

    def __init__(self, config: SparkConfig, weights: Weights, device: torch.device, cpu: Cpu | None = None) -> None:
        codec = config.codec
        self.sample_rate = config.audio.sample_rate
        self.hop = codec.decoder.hop
        self.frame_format = FrameFormat(self.sample_rate / self.hop, CodeFormat(1, codec.quantizer.codebook_size))
        self.codebook_size = codec.quantizer.codebook_size
        self.global_token_count = codec.speaker_encoder.token_num
        self.global_codebook_size = codec.speaker_encoder.codebook_size
        self.device = device
        self.dtype = cpu.dtype if cpu else torch.float32
        self.engine = "cpu" if cpu else "torch"
        self.codebook = weights.load(partial(Codebook, codec.quantizer), "quantizer").to(device)
        self.speaker = weights.load(partial(SpeakerDecoder, codec.speaker_encoder), "speaker_encoder").to(device)
        self.prenet = weights.load(partial(Prenet, codec.prenet), "prenet").to(device)
        self.generator = weights.load(partial(WaveGenerator, codec.decoder), "decoder").to(device)
        # To either side. The guesses that a sample rests on reach no further: see `Joint`.
        self.left_field = self.right_field = int(reach(self.prenet)) + self.generator.look_ahead
        parts = nn.ModuleList((self.prenet, self.generator))
        self._spare_tokens = forward_tokens(parts) if device.type == "cpu" else inf
        if cpu:
            self.codebook.out_project.compile_for(cpu, torch.float32)
            self.prenet.compile_for(cpu)
            self.generator.compile_for(cpu)
        self.usual_look_ahead = config.extras.look_ahead_frames
        self._layout = StateLayout(parts, cpu.columns if cpu else None)
        self._conditioned = lru_cache(_SPEAKERS)(self._condition)

    @classmethod
    def load(
        cls, model_dir: Path, device: str = "cpu", precision: Precision = "auto", cache: Path | None = CACHE
    ) -> Self:
        """Read MODEL/config.yaml and MODEL/BiCodec. CheckpointError says what does not fit.

        `precision` of the products on a CPU, ValueError where it lacks it. `cache`: of the operations compiled for it;
        None for torch's alone.
        """
        config = SparkConfig.read(model_dir)
        cpu = Cpu.load(cache, torch.get_num_threads(), precision) if cache and device == "cpu" else None
        if cpu is None and precision == "bf16":
            raise ValueError("bf16 is there for CPUs only, by compiled operations.")
        type_name = str(cpu.dtype if cpu else torch.float32).removeprefix("torch.")
        _log.info("decoding", extra={"products": type_name, "operations": "compiled" if cpu else "torch's"})
        return cls(config, Weights.read(model_dir / "BiCodec", PREFIXES), torch.device(device), cpu)

    @property
    def frame_rate(self) -> float:
        return self.frame_format.frame_rate

    @property
    def any_speaker(self) -> Speaker:
        """One that it can decode, to try it with."""
        return SparkSpeaker((0,) * self.global_token_count).speaker()

    @torch.inference_mode()
    def open(self, speaker: Speaker | None, look_ahead: int | None = None) -> DecoderStream:
        """A stream for one utterance of one speaker; look-ahead in tokens, None for full. InvalidRequest names
        `speaker` or `look_ahead_frames`."""
        if look_ahead is not None and look_ahead < 0:
            raise InvalidRequest(f"look-ahead {look_ahead} is negative", field="look_ahead_frames")
        if speaker is None:
            raise InvalidRequest("This model needs a speaker.", field="speaker")
        d_vector, modulation = self._conditioned(self._checked(SparkSpeaker.of(speaker, "speaker").global_tokens))
        return DecoderStream(look_ahead, d_vector, modulation, self._layout.fresh(self.device))

    @torch.inference_mode()
    def step(self, items: Sequence[Item]) -> list[Samples]:
        """Advance many streams: for each the audio [n * hop] in (-1, 1) that is now due, float32.

        All is checked before anything is computed: an InvalidRequest (`frames`) leaves every stream as it was.
        """
        turns = [self._turn(stream, codes, last) for stream, codes, last in items]
        heard = [np.zeros(0, np.float32)] * len(turns)
        active = {index: turn.load for index, turn in enumerate(turns) if turn.codes or turn.last}
        for group in groups(active, self._spare_tokens):
            for index, samples in zip(group, self._forward([turns[index] for index in group]), strict=True):
                heard[index] = samples
        return heard

    def decode(self, global_tokens: Sequence[int], codes: Codes) -> Samples:
        """A whole utterance: [len(codes) * hop]."""
        return self.step([(self.open(SparkSpeaker(tuple(global_tokens)).speaker()), codes, True)])[0]

    def _turn(self, stream: DecoderStream, codes: Codes, last: bool) -> Turn:
        assert not stream.ended, "the utterance has ended"
        new: list[int] = np.asarray(codes, int).ravel().tolist()
        wrong = next((code for code in new if not 0 <= code < self.codebook_size), None)
        if wrong is not None:
            raise InvalidRequest(f"code {wrong} is not in [0, {self.codebook_size})", field="frames")
        full = self.right_field
        look_ahead = full if stream.look_ahead is None else min(stream.look_ahead, full)
        due = max(0, stream.received + len(new) - (0 if last else look_ahead) - stream.emitted)
        guessed = full - look_ahead if due and not last else 0
        newest = new[-1] if new else stream.newest
        load = Load(read=len(new) + guessed, heard=due)
        return Turn(stream, new + [newest] * guessed, guessed, look_ahead, last, load)

    def _forward(self, turns: list[Turn]) -> list[Samples]:
        lengths = [len(turn.codes) for turn in turns]
        codes = pad_sequence([torch.tensor(turn.codes, dtype=torch.long) for turn in turns], batch_first=True)
        feed = self._layout.feed(
            [turn.stream.state for turn in turns],
            [turn.last for turn in turns],
            [turn.look_ahead for turn in turns],
        )
        frames = feed.frames(self.codebook(codes.to(self.device)), lengths, [turn.guessed for turn in turns])
        frames = self.prenet(frames, torch.stack([turn.stream.modulation for turn in turns]))
        frames = frames.to(frames.x + torch.stack([turn.stream.d_vector for turn in turns])[:, :, None])
        frames = self.generator(frames)
        feed.commit()
        return [self._heard(turn, row[0]) for turn, row in zip(turns, frames.rows(), strict=True)]

    def _heard(self, turn: Turn, row: Tensor) -> Samples:
        stream, real = turn.stream, len(turn.codes) - turn.guessed
        stream.received += real
        stream.emitted += len(row) // self.hop
        stream.newest = turn.codes[-1] if turn.codes else stream.newest
        stream.ended = turn.last
        return row.cpu().numpy().copy()

    @torch.inference_mode()
    def _condition(self, global_tokens: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The d-vector, and what the prenet makes of it."""
        d_vector = self.speaker(torch.tensor([global_tokens], device=self.device))
        return d_vector[0], self.prenet.modulate(d_vector)[0]

    def _checked(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        if len(tokens) != self.global_token_count:
            raise InvalidRequest(
                f"The speaker has {len(tokens)} global tokens, expected {self.global_token_count}.", field="speaker"
            )
        wrong = next((token for token in tokens if token >= self.global_codebook_size), None)
        if wrong is not None:
            raise InvalidRequest(
                f"The speaker's global token {wrong} is not in [0, {self.global_codebook_size}).", field="speaker"
            )
        return tokens
