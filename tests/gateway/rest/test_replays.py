"""Requests as applications send them, with the version that they are of, over the gateway and doubles of the stages.

`needs`: paths into the JSON of the reply, where the application finds text; `type`: of the audio; `ignored` and
`followed`: what the reply's headers say.
"""

import io
import json
from pathlib import Path

import av
import pytest

REPLAYS = json.loads(Path(__file__).with_name("replays.json").read_text())


@pytest.fixture
def gateway(real_gateway):
    return real_gateway


def named(replay):
    return f"{replay['client']} {replay['version']} {replay['path']}"


def found(body, path):
    for part in path.split("/"):
        body = body[int(part) if isinstance(body, list) else part]
    return body


@pytest.mark.parametrize("replay", [each for each in REPLAYS if "needs" in each], ids=named)
async def test_a_list_holds_what_the_application_reads(client, replay):
    reply = await client.get(replay["path"])
    assert reply.status_code == 200
    assert all(isinstance(found(reply.json(), path), str) for path in replay["needs"])


@pytest.mark.parametrize("replay", [each for each in REPLAYS if "body" in each], ids=named)
async def test_an_application_is_answered_with_the_audio_that_it_plays(client, replay):
    reply = await client.post(replay["path"], headers=replay["headers"], json=replay["body"])
    assert (reply.status_code, reply.headers["content-type"]) == (200, replay["type"])
    told = [reply.headers.get(f"x-voxline-{name}") for name in ("ignored", "instructions")]
    assert told == [replay.get("ignored"), replay.get("followed")]
    with av.open(io.BytesIO(reply.content)) as file:
        assert sum(frame.samples for frame in file.decode(audio=0)) > 0


async def test_libre_chat_joins_the_bodies_of_a_long_text(client):
    body = next(each["body"] for each in REPLAYS if each["client"] == "LibreChat")
    pieces = [(await client.post("/v1/audio/speech", json=body)).content for _ in range(2)]

    def samples(data):
        with av.open(io.BytesIO(data)) as file:
            return sum(frame.samples for frame in file.decode(audio=0))

    assert samples(b"".join(pieces)) == sum(map(samples, pieces))
