"""voxline.v1's public services over real gRPC, down to doubles of the stages."""

import grpc
import pytest

from services.gateway.gateway import Gateway, SpeechOptions
from services.gateway.rpc.model_servicer import ModelServicer
from services.gateway.rpc.speech_servicer import SpeechServicer
from services.gateway.voices.store import VoiceStore
from services.runtime.errors import from_rpc_error
from services.runtime.interceptors import RpcInterceptor
from services.runtime.message_size import MessageLimits
from services.runtime.metrics import RpcMetrics
from voxline.v1 import model_pb2_grpc
from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc as pb_grpc


@pytest.fixture
def options():
    return SpeechOptions(pause_seconds=0.0)


@pytest.fixture
async def channel(stages, tmp_path, options, registry):
    store = VoiceStore(f"sqlite:///{tmp_path}/voices.db")
    gateway = Gateway(stages, store, options, registry)
    await store.start()
    interceptor = RpcInterceptor(RpcMetrics(registry), MessageLimits(400_000, 1_000_000))
    server = grpc.aio.server(interceptors=[interceptor])
    pb_grpc.add_TextToSpeechServiceServicer_to_server(SpeechServicer(gateway), server)
    model_pb2_grpc.add_ModelServiceServicer_to_server(ModelServicer(stages), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)
    await store.stop()


@pytest.fixture
def stub(channel):
    return pb_grpc.TextToSpeechServiceStub(channel)


def kinds(events: list) -> list[str]:
    names = [event.WhichOneof("event") for event in events]
    return [name for at, name in enumerate(names) if at == 0 or names[at - 1] != name]


def audio_of(events: list) -> bytes:
    return b"".join(event.audio for event in events)


async def failure(call) -> tuple[grpc.StatusCode, str | None]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), from_rpc_error(raised.value).field


async def listened(call) -> list:
    return [event async for event in call]


def speech(**changes) -> pb.SynthesizeRequest:
    return pb.SynthesizeRequest(**({"text": "Hi."} | changes))
