"""A recording in the body of a speech request: it speaks, or the request is refused; it is never dropped."""

import base64

import pytest

from services.contract.design import Gender, Level
from services.gateway.reply import Usage
from services.gateway.request import ReferenceVoice, Style
from services.gateway.rest.app import RestOptions
from services.gateway.rest.body_limits import BodyLimits
from services.gateway.rest.openai.reference import AUDIO_FIELDS, TRANSCRIPT_FIELDS

SPEECH = "/v1/audio/speech"
# Its base64 has the characters that alphabets differ in.
SOUND = b"\xfb\xff\xfesound"
PLAIN = base64.b64encode(SOUND).decode()


async def refusal(client, **fields):
    reply = await client.post(SPEECH, json={"input": "Hi."} | fields)
    error = reply.json()["error"]
    return reply.status_code, error["param"], error["message"]


@pytest.mark.parametrize("field", AUDIO_FIELDS)
@pytest.mark.parametrize("words", TRANSCRIPT_FIELDS)
async def test_a_recording_speaks_under_each_name(client, gateway, field, words):
    body = {"input": "Hi.", field: PLAIN, words: "Some words."}
    assert (await client.post(SPEECH, json=body)).status_code == 200
    assert gateway.requests[0].turns[0].voice == ReferenceVoice(SOUND, "Some words.")


@pytest.mark.parametrize(
    "sent",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.urlsafe_b64encode(SOUND).decode(),
        "\n".join([PLAIN[:4], PLAIN[4:], ""]),
        f"data:audio/wav;base64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"DATA:audio/ogg;codecs=opus;base64,{PLAIN}",
    ],
    ids=["base64", "unpadded", "of urls", "in lines", "data url", "without a type", "with parameters"],
)
async def test_each_form_of_base64_is_read(client, gateway, sent):
    assert (await client.post(SPEECH, json={"input": "Hi.", "ref_audio": sent})).status_code == 200
    assert gateway.requests[0].turns[0].voice == ReferenceVoice(SOUND)


@pytest.mark.parametrize(
    "place",
    [
        "http://example.org/a.wav",
        "https://example.org/a.wav",
        "HTTPS://example.org/a.wav",
        "file:///etc/passwd",
        "s3://bucket/a.wav",
        "/srv/voices/anna.wav",
        "./anna.wav",
        "../anna.wav",
        "~/anna.wav",
        "C:\\voices\\anna.wav",
    ],
)
async def test_nothing_is_fetched_from_a_place(client, gateway, place):
    status, param, message = await refusal(client, ref_audio=place)
    assert (status, param) == (400, "ref_audio")
    assert "fetches nothing" in message
    assert not gateway.requests


@pytest.mark.parametrize(
    ("fields", "status", "param", "says"),
    [
        ({"ref_audio": "no base64!"}, 400, "ref_audio", "base64"),
        ({"reference_audio": "a"}, 400, "reference_audio", "base64"),
        ({"ref_audio": "data:audio/wav,RIFF"}, 400, "ref_audio", "base64"),
        ({"ref_audio": ""}, 400, "ref_audio", "empty"),
        ({"speaker_wav": "data:audio/wav;base64,"}, 400, "speaker_wav", "empty"),
        ({"ref_audio": 5}, 400, "ref_audio", "string"),
        ({"reference_audio": [PLAIN]}, 400, "reference_audio", "string"),
        ({"ref_audio": PLAIN, "ref_text": 5}, 400, "ref_text", "string"),
        ({"ref_audio": PLAIN, "prompt_text": {}}, 400, "prompt_text", "string"),
        ({"ref_audio": PLAIN, "reference_audio": PLAIN}, 400, "reference_audio", "ref_audio"),
        ({"ref_text": "Some words."}, 400, "ref_text", "ref_audio"),
        ({"reference_text": "Some words."}, 400, "reference_text", "ref_audio"),
        ({"ref_audio": PLAIN, "reference_text": "a" * 2001}, 413, "reference_text", "2000"),
        ({"references": [{"audio": PLAIN, "text": "Some words."}]}, 501, "references", "ref_audio"),
        ({"ref_audio_path": "a.wav"}, 501, "ref_audio_path", "ref_audio"),
        ({"reference_id": "anna"}, 501, "reference_id", "voice"),
    ],
    ids=str,
)
async def test_what_cannot_be_used_is_refused_by_its_own_name(client, gateway, fields, status, param, says):
    found = await refusal(client, **fields)
    assert found[:2] == (status, param)
    assert says in found[2]
    assert not gateway.requests


async def test_a_recording_over_the_limit_of_a_body_is_413(serve):
    client = await serve(RestOptions(body_limits=BodyLimits(json_bytes=1000)))
    reply = await client.post(SPEECH, json={"input": "Hi.", "ref_audio": PLAIN * 200})
    assert (reply.status_code, reply.json()["error"]["code"]) == (413, "too_large")


async def test_a_field_that_is_null_is_absent(client, gateway):
    nulls = dict.fromkeys((*AUDIO_FIELDS, *TRANSCRIPT_FIELDS, "references"))
    reply = await client.post(SPEECH, json={"input": "Hi."} | nulls)
    assert (reply.status_code, "x-voxline-ignored" in reply.headers) == (200, False)


@pytest.mark.parametrize(
    ("fields", "ignored"),
    [
        ({"backend": "x", "exaggeration": 0.7, "lang_code": "a"}, "backend, exaggeration, lang_code"),
        ({"emotion": None, "voice": "alloy"}, None),
        ({"ref_audio": PLAIN, "voice": "alloy"}, "voice"),
        ({"b\u00e4d": 1, "a\r\nb": 2, "x" * 65: 3, "": 4}, None),
        ({f"f{place}": 1 for place in range(30)}, ", ".join(f"f{place}" for place in range(20))),
    ],
    ids=["unknown", "null", "voice beside a recording", "odd names", "many"],
)
@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_the_reply_names_what_was_ignored(client, stream_format, fields, ignored):
    reply = await client.post(SPEECH, json={"input": "Hi.", "stream_format": stream_format} | fields)
    assert (reply.status_code, reply.headers.get("x-voxline-ignored")) == (200, ignored)


class TestOverStages:
    @pytest.fixture
    def gateway(self, real_gateway):
        return real_gateway

    async def test_the_same_recording_is_tokenised_once(self, client, doubles):
        body = {"input": "Hi.", "seed": 5, "response_format": "pcm", "ref_audio": PLAIN, "ref_text": "Some words."}
        other = body | {"ref_audio": base64.b64encode(b"other").decode()}
        replies = [await client.post(SPEECH, json=each) for each in (body, body, other)]
        assert [reply.status_code for reply in replies] == [200] * 3
        assert doubles.tokenizer.calls == 2
        voices = [request.voice for request in doubles.llm.spoken]
        assert voices[0] == voices[1] != voices[2]
        assert voices[0].context[0].text == "Some words."

    async def test_what_the_tokenizer_refuses_is_the_fault_of_the_field(self, client):
        bad = base64.b64encode(b"bad").decode()
        assert (await refusal(client, prompt_audio=bad))[:2] == (400, "prompt_audio")
        assert (await refusal(client, ref_audio=bad))[:2] == (400, "ref_audio")

    @pytest.mark.parametrize(
        "instructions",
        [
            "Speak like a friendly shop assistant who greets a woman.",
            "You are talking to an elderly lady; be patient.",
            "You are a female news presenter.",
            "Sound like a young girl",
            "gender: female",
        ],
    )
    async def test_no_instructions_change_who_speaks(self, client, doubles, instructions):
        body = {"input": "The old farmer painted his barn.", "voice": "onyx", "instructions": instructions}
        reply = await client.post(SPEECH, json=body)
        assert (reply.status_code, reply.headers["x-voxline-instructions"]) == (200, "none")
        design = doubles.llm.spoken[0].voice.design
        assert (design.gender, design.pitch) == (Gender.MALE, Level.VERY_LOW)

    @pytest.mark.parametrize(
        ("fields", "followed"),
        [
            ({"instructions": "A deep male voice, very slowly."}, "gender=male, pitch=low, speed=very_low"),
            ({"instructions": "A deep male voice.", "voice": "alloy"}, "pitch=low"),
            ({"instructions": "Be cheerful."}, "none"),
            ({"instructions": "Speak slowly.", "ref_audio": PLAIN}, "none"),
            ({"instructions": ""}, None),
            ({}, None),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("stream_format", ["audio", "sse"])
    async def test_the_reply_tells_what_it_follows(self, client, stream_format, fields, followed):
        reply = await client.post(SPEECH, json={"input": "Hi.", "stream_format": stream_format} | fields)
        assert (reply.status_code, reply.headers.get("x-voxline-instructions")) == (200, followed)


def test_a_reply_follows_nothing_at_first():
    assert Usage().style == Style()
