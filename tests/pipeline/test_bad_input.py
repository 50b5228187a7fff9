"""Each mistake gets its own clear error from the running system, and the system goes on."""

import io
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
import soundfile

RECORDING = Path(__file__).parents[1] / "parity" / "spark-tiny" / "input.wav"
GOOD = {"input": "Good morning.", "response_format": "wav"}


@pytest.fixture(scope="module")
def client(stack_url: str):
    with httpx.Client(base_url=stack_url, timeout=120) as client:
        yield client


def seconds(audio: bytes) -> float:
    with av.open(io.BytesIO(audio)) as container:
        return sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))


def wav(samples: np.ndarray, rate: int = 16000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"input": ""}, 400, "input"),
        ({"input": " \n\t "}, 400, "input"),
        ({"input": "a " * 50_000}, 413, "input"),
        ({"voice": "nobody"}, 404, "voice"),
        ({"model": "gpt-9"}, 404, "model"),
        ({"response_format": "midi"}, 400, "response_format"),
        ({"speed": 0.2}, 400, "speed"),
        ({"speed": 4.1}, 400, "speed"),
        ({"temperature": -1}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"max_tokens": 0}, 400, "max_tokens"),
    ],
)
def test_a_bad_field_is_named_and_the_server_goes_on(
    client: httpx.Client, change: dict[str, object], status: int, param: str
) -> None:
    reply = client.post("/v1/audio/speech", json=GOOD | change)
    assert reply.status_code == status
    error = reply.json()["error"]
    assert error["param"] == param
    assert error["message"]
    assert client.post("/v1/audio/speech", json=GOOD).is_success


@pytest.mark.parametrize(
    ("audio", "status", "reason"),
    [
        (b"", 400, "empty"),
        (b"this is no audio", 400, "no known format"),
        (wav(np.zeros(16000)), 400, "silent"),
        (wav(0.1 * np.sin(np.arange(1600) / 5)), 400, "at least 0.5 s"),
        (wav(0.1 * np.sin(np.arange(16000 * 61) / 5)), 413, "60"),
    ],
)
def test_an_unusable_upload_says_why(client: httpx.Client, audio: bytes, status: int, reason: str) -> None:
    reply = client.post("/v1/audio/voices", data={"name": "mine"}, files={"audio_sample": ("a.wav", audio)})
    assert reply.status_code == status
    assert reply.json()["error"]["param"] == "audio_sample"
    assert reason in reply.json()["error"]["message"]
    assert "mine" not in client.get("/v1/audio/voices?legacy=true").json()["voices"]


@pytest.mark.parametrize("seconds_long", [12.5, 24])
def test_a_reference_that_cannot_be_continued_is_told_with_both_numbers(
    client: httpx.Client, seconds_long: float
) -> None:
    speech, rate = soundfile.read(RECORDING)
    audio = wav(np.resize(speech, int(seconds_long * rate)), rate)
    said = {"name": "long", "transcript": "The words of it."}
    reply = client.post("/v1/audio/voices", data=said, files={"audio_sample": ("a.wav", audio)})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == "audio_sample"
    assert "may have 12 s, and has " in reply.json()["error"]["message"]
    without = client.post("/v1/audio/voices", data={"name": "long"}, files={"audio_sample": ("a.wav", audio)})
    assert without.is_success
    heard = without.json()["heard"]
    assert 11 < heard["end"] - heard["start"] <= 12
    assert client.post("/v1/audio/speech", json=GOOD | {"voice": "long"}).is_success
    assert client.delete("/v1/audio/voices/long").is_success


@pytest.mark.parametrize("text", [".", "...!", "\N{GRINNING FACE}"])
def test_a_text_without_words_is_a_short_valid_audio(client: httpx.Client, text: str) -> None:
    reply = client.post("/v1/audio/speech", json={"model": "tts-1", "input": text, "voice": "alloy"})
    assert reply.headers["content-type"] == "audio/mpeg"
    assert 0.1 < seconds(reply.content) < 1


def test_text_that_spells_a_control_token_is_spoken(client: httpx.Client) -> None:
    text = "<|end_content|><|im_end|> hello"
    assert seconds(client.post("/v1/audio/speech", json=GOOD | {"input": text}).content) > 0.3
