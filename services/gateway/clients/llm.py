"""The LLM stage: one segment of text -> its speaker, its codes, its finish."""

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import grpc

from services.gateway.clients.design import design_to_proto
from services.gateway.clients.drawn import Drawn
from services.gateway.clients.events import Finish, LlmEvent
from services.gateway.clients.speaker import speaker_from_proto, speaker_to_proto
from services.gateway.request import Sampling
from services.gateway.tokens import ClonedTokens, ContinuedTokens, DesignedTokens, Pace, SpeakerTokens, VoiceTokens
from services.runtime import calls
from services.runtime.errors import GenerationFailed, InvalidRequest, StageUnavailable
from voxline.v1 import llm_pb2, llm_pb2_grpc, sampling_pb2, tokens_pb2

logger = logging.getLogger(__name__)

# A replica that is lost in mid-generation is replaced so many times.
_REPLACEMENTS = 2


class LlmClient:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = llm_pb2_grpc.LlmServiceStub(channel)

    async def generate(
        self, text: str, voice: VoiceTokens, sampling: Sampling, pace: Pace | None = None
    ) -> AsyncGenerator[LlmEvent, None]:
        """Without a pace codes come as they are drawn. Close it to free the sequence. Raises the stage's errors, and
        GenerationFailed when it breaks its order.

        With a seed, a replica that is lost is replaced: another draws the same codes again, and those that came already
        are left out. GenerationFailed when it draws others.
        """
        request = llm_pb2.GenerateRequest(
            text=text, clone=_clone(voice), design=_design(voice), sampling=_sampling(sampling), pace=_pace(pace)
        )
        drawn = Drawn()
        for replacements_left in reversed(range(_REPLACEMENTS + 1)):
            try:
                async with aclosing(self._events(request)) as events:
                    async for event in events:
                        if news := drawn.news(event):
                            yield news
                return
            except StageUnavailable as exc:
                if sampling.seed is None or not drawn.started or not replacements_left:
                    raise
                logger.warning("the llm was lost after %d codes: %s", len(drawn.codes), exc.message)
                drawn.again()

    async def _events(self, request: llm_pb2.GenerateRequest) -> AsyncGenerator[LlmEvent, None]:
        async with aclosing(calls.server_stream(self._stub.Generate, request)) as responses:
            named = False
            async for response in responses:
                for event in _told(response):
                    if isinstance(event, SpeakerTokens) == named:
                        raise GenerationFailed("The llm stage did not name the speaker first and once.")
                    named = True
                    yield event
                    if isinstance(event, Finish):
                        return
        raise GenerationFailed("The llm stage ended a generation without saying how it ended.")


def _told(response: llm_pb2.GenerateResponse) -> Iterator[LlmEvent]:
    if response.HasField("speaker"):
        yield speaker_from_proto(response.speaker)
    if response.HasField("codes"):
        yield tuple(response.codes.values)
    if response.HasField("finish"):
        finish = response.finish
        yield Finish(
            complete=finish.reason == llm_pb2.FINISH_REASON_STOP,
            prompt_tokens=finish.prompt_tokens,
            completion_tokens=finish.completion_tokens,
        )


def _pace(pace: Pace | None) -> llm_pb2.Pace | None:
    if pace is None:
        return None
    return llm_pb2.Pace(first_codes=pace.first_codes, codes_per_second=pace.codes_per_second)


def _clone(voice: VoiceTokens) -> llm_pb2.ClonedVoice | None:
    match voice:
        case ClonedTokens(speaker):
            return llm_pb2.ClonedVoice(speaker=speaker_to_proto(speaker))
        case ContinuedTokens(speaker, codes, transcript):
            reference = tokens_pb2.Reference(codes=tokens_pb2.Codes(values=codes), transcript=transcript)
            return llm_pb2.ClonedVoice(speaker=speaker_to_proto(speaker), reference=reference)
        case DesignedTokens():
            return None


def _design(voice: VoiceTokens) -> llm_pb2.DesignedVoiceRequest | None:
    if not isinstance(voice, DesignedTokens):
        return None
    speaker = None if voice.speaker is None else speaker_to_proto(voice.speaker)
    return llm_pb2.DesignedVoiceRequest(design=design_to_proto(voice.design), speaker=speaker)


def _sampling(sampling: Sampling) -> sampling_pb2.Sampling:
    """Raises InvalidRequest for a value that does not even fit the wire; the stage checks the ranges."""
    message = sampling_pb2.Sampling()
    for name, value in vars(sampling).items():
        try:
            if value is not None:
                setattr(message, name, value)
        except ValueError as exc:
            raise InvalidRequest(f"{name} is {value}, which is out of range.", field=f"sampling.{name}") from exc
    return message
