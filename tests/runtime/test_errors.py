"""The table is complete, and a round trip over real gRPC keeps class, message, field and retry time."""

import grpc
import pytest

from services.runtime import errors
from services.runtime.calls import duplex_of_one, unary
from services.runtime.errors import TABLE, GenerationFailed, StageUnavailable, VoxlineError, from_rpc_error, to_openai
from services.runtime.streams import collected
from voxline.stages.v1 import llm_pb2, tokenizer_pb2


def subclasses() -> list[type[VoxlineError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, VoxlineError)]
    return [cls for cls in found if cls is not VoxlineError]


def test_every_error_has_exactly_one_row() -> None:
    assert set(subclasses()) == set(TABLE)
    assert len({row.openai_code for row in TABLE.values()}) == len(TABLE)


@pytest.mark.parametrize("cls", subclasses())
async def test_an_error_raised_in_a_stage_arrives_as_itself(stage, cls: type[VoxlineError]) -> None:
    stage.script.error = cls("what happened", field="audio", retry_after=2.5)
    with pytest.raises(cls) as caught:
        await unary(stage.tokenize, tokenizer_pb2.TokenizeRequest(audio=b"x"))
    assert (caught.value.message, caught.value.field, caught.value.retry_after) == ("what happened", "audio", 2.5)


@pytest.mark.parametrize("cls", subclasses())
async def test_an_error_after_the_first_response_arrives_as_itself(stage, cls: type[VoxlineError]) -> None:
    stage.script.error, stage.script.good = cls("too late"), 2
    received = []
    with pytest.raises(cls, match="too late"):
        async for response in duplex_of_one(stage.generate, llm_pb2.GenerateRequest()):
            received.append(response)
    assert len(received) == 2


async def test_an_unforeseen_error_is_internal_and_tells_no_secret(stage) -> None:
    stage.script.error = RuntimeError("password=hunter2")
    with pytest.raises(GenerationFailed) as caught:
        await unary(stage.tokenize, tokenizer_pb2.TokenizeRequest())
    assert "hunter2" not in caught.value.message


async def test_a_stage_that_is_down_is_unavailable(stage) -> None:
    await stage.server.stop()
    with pytest.raises(StageUnavailable) as caught:
        await collected(duplex_of_one(stage.generate, llm_pb2.GenerateRequest()))
    assert caught.value.retry_after is not None


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_grpc_status_maps_back_to_something(code: grpc.StatusCode) -> None:
    empty = grpc.aio.Metadata()
    error = from_rpc_error(grpc.aio.AioRpcError(code, empty, empty, details="from a proxy"))
    assert type(error) in TABLE
    assert error.message == "from a proxy"


def test_the_openai_body_names_the_field() -> None:
    body = to_openai(errors.InvalidRequest("speed is 5", field="speed"))
    assert body == {
        "error": {
            "message": "speed is 5",
            "type": "invalid_request_error",
            "param": "speed",
            "code": "invalid_value",
        }
    }
