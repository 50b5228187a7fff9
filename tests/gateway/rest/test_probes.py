"""What orchestrators, scrapers and readers of the documentation get."""

from services.gateway.audio.encoders import ENCODERS


async def test_a_living_process_is_alive_even_if_not_ready(client, gateway):
    gateway.drain()
    for path in ("/healthz", "/health"):
        assert (await client.get(path)).status_code == 200


async def test_readiness_gives_its_reasons(client, gateway):
    assert (await client.get("/readyz")).status_code == 200
    gateway.drain()
    reply = await client.get("/readyz")
    assert (reply.status_code, reply.json()) == (503, {"status": "not ready", "reasons": ["draining"]})


async def test_who_can_do_most_is_ready(client, gateway):
    gateway.lacks = ("the database is away",)
    reply = await client.get("/readyz")
    assert (reply.status_code, reply.json()) == (200, {"status": "degraded", "reasons": ["the database is away"]})
    gateway.drain()
    assert (await client.get("/readyz")).status_code == 503


async def test_there_is_no_readiness_below_v1(client):
    assert (await client.get("/v1/readyz")).status_code == 404


async def test_metrics_are_not_for_callers(client):
    assert (await client.get("/metrics")).status_code == 404


async def test_the_root_leads_to_the_documentation(client):
    assert (await client.get("/", follow_redirects=True)).url.path == "/docs"


async def test_the_schema_tells_media_types_errors_and_the_key(client):
    schema = (await client.get("/openapi.json")).json()
    speech_body = schema["components"]["schemas"]["SpeechBody"]
    speech = schema["paths"]["/v1/audio/speech"]["post"]
    assert set(speech["responses"]) == {"200", "4XX", "5XX"}
    media_types = {encoder.media_type for encoder in ENCODERS.values()}
    assert set(speech["responses"]["200"]["content"]) == {*media_types, "text/event-stream"}
    formats = speech_body["properties"]["response_format"]["anyOf"][0]["enum"]
    assert set(formats) == ENCODERS.keys()
    assert speech["security"]
    assert speech_body["examples"]
    voices = schema["paths"]["/v1/audio/voices"]["post"]
    assert list(voices["requestBody"]["content"]) == ["multipart/form-data"]
