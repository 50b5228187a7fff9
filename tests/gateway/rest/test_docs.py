"""/docs, on a machine without the internet."""

import re

import pytest

from services.gateway.rest.docs import page


async def test_the_page_loads_nothing(client):
    reply = await client.get("/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script|<link|<img|<iframe|src=|@import|url\(|https?://", reply.text)
    assert len(reply.content) < 50_000


async def test_the_page_tells_every_route_field_and_format(client):
    document = (await client.get("/openapi.json")).json()
    text = (await client.get("/docs")).text
    for path, item in document["paths"].items():
        for method in item:
            assert f"{method.upper()} {path}" in text
    for field in document["components"]["schemas"]["SpeechBody"]["properties"]:
        assert f"<code>{field}</code>" in text
    for told in ("mp3, opus", "(required)", "multipart/form-data", "audio/mpeg", "tts-1", "file"):
        assert told in text


@pytest.mark.parametrize("hostile", ["<script>", "a & b", '"><img>'])
def test_what_the_document_says_is_text(hostile):
    info = {"title": hostile, "version": "1", "description": hostile}
    operation = {"summary": hostile, "description": hostile, "responses": {hostile: {"description": hostile}}}
    assert hostile not in page({"info": info, "paths": {f"/{hostile}": {"get": operation}}})
