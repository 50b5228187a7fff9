"""One utterance -> its audio, whatever becomes of the replicas that decode it."""

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial

from services.contract.detokenization import DetokenizationConfig, Priming
from services.gateway.metrics import GatewayMetrics
from services.gateway.replacement import Replacement
from services.gateway.reply import Usage
from services.gateway.stages import Model, Stages
from services.gateway.utterance import Utterance, Withdrawn
from services.runtime.audio import Audio
from services.runtime.errors import VoxlineError

logger = logging.getLogger(__name__)

# No chunk behind the first is held back for so much.
_LONGEST_CHUNK_SECONDS = 2.0


class Decoding:
    def __init__(self, stages: Stages, metrics: GatewayMetrics) -> None:
        self._stages = stages
        self._metrics = metrics

    async def audio(self, utterance: Utterance, model: Model, usage: Usage) -> AsyncGenerator[Audio, None]:
        """As soon as the frames allow. A replica that is lost is replaced: another is primed with the left field and
        goes on with the frame that has not been heard. Raises the utterance's error, Withdrawn, and what the stage
        raises.
        """
        await utterance.begun()
        drawing = utterance.drawing
        sizes: list[int] = []
        replacement = Replacement("detokenizer", self._stages, self._metrics, usage, begun=utterance.place > 0)
        while True:
            if utterance.drawing != drawing:
                raise Withdrawn
            config = DetokenizationConfig(
                speaker=utterance.speaker,
                look_ahead=model.look_ahead,
                priming=_priming(utterance, sizes, model),
                revision=model.revision,
            )
            try:
                owed = partial(_owed, utterance, sizes, model)
                chunks = self._stages.detokenizer.decode(config, utterance.frames(sum(sizes)), owed)
                async with aclosing(chunks):
                    async for chunk in chunks:
                        if utterance.drawing != drawing:
                            raise Withdrawn
                        replacement.progress()
                        sizes.append(chunk.frame_count)
                        yield chunk.audio
                return
            except VoxlineError as exc:
                if exc is utterance.error:
                    raise
                if utterance.error is not None:
                    raise utterance.error from exc
                await replacement.after(exc)
                logger.warning("the detokenizer is replaced after %d frames: %s", sum(sizes), exc.message)


def _owed(utterance: Utterance, sizes: list[int], model: Model) -> bool:
    """Whether the frames of another chunk are there. How a detokenizer cuts is its own affair; none waits for more."""
    if utterance.finished:
        return True
    chunk = _LONGEST_CHUNK_SECONDS * model.frames.frame_rate if sizes else model.detokenizer.first_audio_frames
    return utterance.end - sum(sizes) >= model.look_ahead + chunk


def _priming(utterance: Utterance, sizes: list[int], model: Model) -> Priming | None:
    """`sizes`: of the chunks that were heard, in frames."""
    end = sum(sizes)
    if not end:
        return None
    first = max(0, end - model.detokenizer.left_field)
    covered = len(sizes)
    start = end
    while covered and start > first:
        covered -= 1
        start -= sizes[covered]
    return Priming(utterance.between(first, end), end, tuple(sizes[covered:]))
