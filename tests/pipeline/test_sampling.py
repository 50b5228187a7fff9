"""Whatever sampling a caller asks for is spoken, or refused by its name: at both doors, over the real stages."""

import math

import grpc
import httpx
import pytest

from voxline.v1 import text_to_speech_pb2 as pb
from voxline.v1 import text_to_speech_pb2_grpc

# Values that are spoken, or of which the model draws no speech; and values that are out of range.
EXTREME = {
    "temperature": (0, 1e-30, 2),
    "top_k": (0, 1, 2**32 - 1),
    "top_p": (1e-30, 1),
    "repetition_penalty": (1e-30, 0.5, 2),
    "max_tokens": (1, 2, 40, 2**32 - 1),
    "seed": (0, 2**63 - 1),
}
WRONG = {
    "temperature": (-1e-30, 2.1, math.nan, math.inf, -math.inf),
    "top_k": (-1, 2**32, 10**30),
    "top_p": (0, -1, 1.1, math.nan, math.inf),
    "repetition_penalty": (0, -1, 2.1, math.nan, math.inf),
    "max_tokens": (0, -1, 2**32, 10**30),
    "seed": (-1, 2**63, 10**30),
}
_FIT = {"top_k": 2**32, "max_tokens": 2**32, "seed": 2**63}


def cases(table: dict[str, tuple[float, ...]]) -> list[tuple[str, float]]:
    return [(name, value) for name, values in table.items() for value in values]


def fits(name: str, value: float) -> bool:
    """The wire."""
    return name not in _FIT or (0 <= value < _FIT[name])


@pytest.mark.parametrize(("name", "value"), cases(EXTREME))
def test_an_extreme_is_spoken_or_named_over_rest(stack_url: str, name: str, value: float) -> None:
    body = {"input": "Yes.", "response_format": "pcm", "seed": 1} | {name: value}
    reply = httpx.post(f"{stack_url}/v1/audio/speech", json=body, timeout=120)
    if reply.status_code == 400:
        assert reply.json()["error"]["param"] == name
    else:
        assert reply.status_code == 200
        assert len(reply.content) > 2000


@pytest.mark.parametrize(("name", "value"), cases(WRONG))
def test_a_wrong_value_is_named_over_rest(stack_url: str, name: str, value: float) -> None:
    text = {math.inf: "1e999", -math.inf: "-1e999"}.get(value, "NaN" if value != value else str(value))
    body = f'{{"input": "Yes.", "{name}": {text}}}'
    headers = {"content-type": "application/json"}
    reply = httpx.post(f"{stack_url}/v1/audio/speech", content=body, headers=headers, timeout=120)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == name


def over_grpc(address: str, name: str, value: float) -> tuple[grpc.StatusCode, str]:
    with grpc.insecure_channel(address) as channel:
        request = pb.SynthesizeRequest(text="Yes.")
        setattr(request.sampling, name, value)
        try:
            list(text_to_speech_pb2_grpc.TextToSpeechServiceStub(channel).Synthesize(request, timeout=120))
        except grpc.RpcError as exc:
            return exc.code(), exc.details()
    return grpc.StatusCode.OK, ""


@pytest.mark.parametrize(("name", "value"), cases(EXTREME))
def test_an_extreme_is_spoken_or_named_over_grpc(stack, name: str, value: float) -> None:
    code, message = over_grpc(stack.grpc, name, value)
    assert code is grpc.StatusCode.OK or (code is grpc.StatusCode.INVALID_ARGUMENT and name in message)


@pytest.mark.parametrize(("name", "value"), [case for case in cases(WRONG) if fits(*case)])
def test_a_wrong_value_is_named_over_grpc(stack, name: str, value: float) -> None:
    code, message = over_grpc(stack.grpc, name, value)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert name in message
