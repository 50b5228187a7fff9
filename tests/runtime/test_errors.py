"""The table is complete, and a round trip over real gRPC keeps class, message, field and retry time."""

import re

import grpc
import pytest

from services.runtime import errors
from services.runtime.calls import duplex_of_one, unary
from services.runtime.errors import TABLE, GenerationFailed, StageUnavailable, VoxlineError, of_stage, to_openai
from services.runtime.streams import collected
from voxline.stages.v1 import llm_pb2, model_pb2


def subclasses() -> list[type[VoxlineError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, VoxlineError)]
    return [cls for cls in found if cls is not VoxlineError]


def test_every_error_has_exactly_one_row() -> None:
    assert set(subclasses()) == set(TABLE)
    assert len({row.openai_code for row in TABLE.values()}) == len(TABLE)


def arriving() -> list[type[VoxlineError]]:
    ours = (
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.VoiceNotFound,
        errors.ModelNotFound,
        errors.VoiceExists,
        errors.UnsupportedMediaType,
    )
    return [cls for cls in subclasses() if cls not in ours]


@pytest.mark.parametrize("cls", arriving())
async def test_an_error_raised_in_a_stage_arrives_as_itself(stage, cls: type[VoxlineError]) -> None:
    stage.script.error = cls("what happened", field="audio", retry_after=2.5)
    with pytest.raises(cls) as caught:
        await unary(stage.get_model, model_pb2.GetModelRequest())
    assert (caught.value.message, caught.value.field, caught.value.retry_after) == ("what happened", "audio", 2.5)


@pytest.mark.parametrize("cls", arriving())
async def test_an_error_after_the_first_response_arrives_as_itself(stage, cls: type[VoxlineError]) -> None:
    stage.script.error, stage.script.good = cls("too late", field="text"), 2
    received = []
    with pytest.raises(cls, match="too late"):
        async for response in duplex_of_one(stage.generate, llm_pb2.GenerateRequest()):
            received.append(response)
    assert len(received) == 2


async def test_an_unforeseen_error_is_internal_and_tells_no_secret(stage) -> None:
    stage.script.error = RuntimeError("password=hunter2")
    with pytest.raises(GenerationFailed) as caught:
        await unary(stage.get_model, model_pb2.GetModelRequest())
    assert "hunter2" not in caught.value.message


async def test_a_stage_that_is_down_is_unavailable(stage) -> None:
    await stage.server.stop()
    with pytest.raises(StageUnavailable) as caught:
        await collected(duplex_of_one(stage.generate, llm_pb2.GenerateRequest()))
    assert caught.value.retry_after is not None


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_grpc_status_maps_back_to_something(code: grpc.StatusCode) -> None:
    empty = grpc.aio.Metadata()
    error = of_stage(grpc.aio.AioRpcError(code, empty, empty, details="no answer of ipv4:10.0.0.3:50052 (unix:/a/llm)"))
    assert TABLE[type(error)].http >= 429
    assert not re.search(r"10\.0|unix|50052", error.message)


CALLERS = ("text", "transcript", "audio", "sampling.temperature")


@pytest.mark.parametrize("cls", [errors.InvalidRequest, errors.TooLarge])
@pytest.mark.parametrize("field", [*CALLERS, None, "config", "speaker", "prefix.resume", "prompt", "context[0].frames"])
async def test_only_a_field_that_the_caller_set_is_its_mistake(stage, cls, field) -> None:
    stage.script.error = cls("what happened", field=field)
    with pytest.raises(cls if field in CALLERS else GenerationFailed) as caught:
        await unary(stage.get_model, model_pb2.GetModelRequest())
    assert ("what happened" in caught.value.message) is (field in CALLERS)


@pytest.mark.parametrize(
    "cls",
    [errors.Unauthenticated, errors.PermissionDenied, errors.VoiceNotFound, errors.ModelNotFound, errors.VoiceExists],
)
async def test_what_a_stage_finds_wrong_with_us_is_not_the_callers_mistake(stage, cls, caplog) -> None:
    stage.script.error = cls("what happened", field="audio")
    with pytest.raises(GenerationFailed):
        await unary(stage.get_model, model_pb2.GetModelRequest())
    assert "what happened" in caplog.text


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
