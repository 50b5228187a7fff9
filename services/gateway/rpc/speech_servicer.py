"""voxline.v1.TextToSpeechService: the public API over gRPC."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from google.api import httpbody_pb2
from google.protobuf import empty_pb2

from services.gateway.interface import SpeechGateway, renamed_fields
from services.gateway.request import Flush, TextPiece
from services.gateway.rpc.replies import events, voice_to_proto
from services.gateway.rpc.requests import to_changes, to_speech, to_text_stream, to_voice_id
from services.runtime.errors import InvalidRequest
from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc

# Fields of the internal request -> their names in the protos.
_SPEECH_FIELDS = {
    "encoding": "audio_config.encoding",
    "sample_rate": "audio_config.sample_rate_hertz",
    "audio": "voice.reference.audio",
    "transcript": "voice.reference.transcript",
}
_VOICE_FIELDS = {"audio": "reference.audio", "transcript": "reference.transcript", "voice": "name"}
_UPDATE_FIELDS = {"voice": "voice.name", "display_name": "voice.display_name", "transcript": "voice.transcript"}


class SpeechServicer(text_to_speech_pb2_grpc.TextToSpeechServiceServicer):
    """Raises our errors; the interceptor turns them into gRPC statuses."""

    def __init__(self, gateway: SpeechGateway) -> None:
        self._gateway = gateway

    async def Synthesize(  # noqa: N802
        self, request: pb.SynthesizeRequest, context: object
    ) -> AsyncGenerator[pb.SynthesizeResponse, None]:
        with renamed_fields(_SPEECH_FIELDS):
            reply = await self._gateway.speak(to_speech(request))
            async with aclosing(events(reply, pb.SynthesizeResponse)) as responses:
                async for response in responses:
                    yield response

    async def SynthesizeBody(  # noqa: N802
        self, request: pb.SynthesizeBodyRequest, context: object
    ) -> AsyncGenerator[httpbody_pb2.HttpBody, None]:
        with renamed_fields(_SPEECH_FIELDS):
            reply = await self._gateway.speak(to_speech(request.speech))
            async with aclosing(reply.chunks) as chunks:
                async for chunk in chunks:
                    yield httpbody_pb2.HttpBody(content_type=reply.media_type, data=chunk)

    async def StreamingSynthesize(  # noqa: N802
        self, request_iterator: AsyncIterator[pb.StreamingSynthesizeRequest], context: object
    ) -> AsyncGenerator[pb.StreamingSynthesizeResponse, None]:
        with renamed_fields(_SPEECH_FIELDS):
            first = await anext(request_iterator, None)
            if first is None or not first.HasField("config"):
                raise InvalidRequest("The first message of a text stream must be its config.", field="config")
            reply = await self._gateway.speak_stream(to_text_stream(first.config), _pieces(request_iterator))
            async with aclosing(events(reply, pb.StreamingSynthesizeResponse)) as responses:
                async for response in responses:
                    yield response

    async def ListVoices(  # noqa: N802
        self, request: pb.ListVoicesRequest, context: object
    ) -> pb.ListVoicesResponse:
        found = await self._gateway.voices.page(request.page_size, request.page_token)
        return pb.ListVoicesResponse(voices=map(voice_to_proto, found.voices), next_page_token=found.next_token)

    async def GetVoice(  # noqa: N802
        self, request: pb.GetVoiceRequest, context: object
    ) -> pb.Voice:
        with renamed_fields(_VOICE_FIELDS):
            return voice_to_proto(await self._gateway.voices.get(to_voice_id(request.name)))

    async def CreateVoice(  # noqa: N802
        self, request: pb.CreateVoiceRequest, context: object
    ) -> pb.Voice:
        reference = request.reference
        with renamed_fields(_VOICE_FIELDS):
            return voice_to_proto(
                await self._gateway.voices.create(
                    request.voice_id, request.display_name, reference.audio, reference.transcript
                )
            )

    async def UpdateVoice(  # noqa: N802
        self, request: pb.UpdateVoiceRequest, context: object
    ) -> pb.Voice:
        with renamed_fields(_UPDATE_FIELDS):
            changes = to_changes(request)
            return voice_to_proto(
                await self._gateway.voices.update(
                    to_voice_id(request.voice.name, "voice.name"),
                    changes.get("display_name"),
                    changes.get("transcript"),
                )
            )

    async def DeleteVoice(  # noqa: N802
        self, request: pb.DeleteVoiceRequest, context: object
    ) -> empty_pb2.Empty:
        with renamed_fields(_VOICE_FIELDS):
            await self._gateway.voices.delete(to_voice_id(request.name))
        return empty_pb2.Empty()


async def _pieces(requests: AsyncIterator[pb.StreamingSynthesizeRequest]) -> AsyncGenerator[TextPiece, None]:
    """Raises InvalidRequest for a second config or an empty message."""
    async for request in requests:
        match request.WhichOneof("request"):
            case "text":
                yield request.text
            case "flush":
                yield Flush()
            case _:
                raise InvalidRequest("After the config a text stream holds text and flushes only.", field="request")
