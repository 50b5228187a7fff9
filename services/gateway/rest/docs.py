"""/docs: the OpenAPI document as a page. FastAPI's pages load their scripts from a CDN, which a machine without the
internet does not reach.
"""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

# A node of the OpenAPI document.
_Node = dict[str, Any]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h2 { margin-top: 2.5rem; border-top: 1px solid #ccc; padding-top: 1rem; font-size: 1.1rem }
code, pre { font-family: ui-monospace, monospace; background: #f4f4f4; padding: .1em .3em; overflow-x: auto }
td { vertical-align: top; padding: .2rem 1rem .2rem 0 }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } code, pre { background: #2a2a2a } }
"""


@router.get("/docs", response_class=HTMLResponse)
async def docs(request: Request) -> HTMLResponse:
    return HTMLResponse(page(request.app.openapi()))


def page(document: _Node) -> str:
    """HTML that loads nothing."""
    info = document["info"]
    title = escape(f"{info['title']} {info['version']}")
    operations = [
        "".join(_operation(method.upper(), path, operation, document))
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style><h1>{title}</h1>'
        f"<p>{escape(info['description'])}</p>"
        '<p>For programs: <a href="/openapi.json">/openapi.json</a>, an OpenAPI document.</p>'
        f"{''.join(operations)}</html>"
    )


def _operation(method: str, path: str, operation: _Node, document: _Node) -> Iterator[str]:
    yield f"<h2><code>{method} {escape(path)}</code> {escape(operation.get('summary', ''))}</h2>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    rows = [(each["name"], each["schema"], each.get("required", False)) for each in operation.get("parameters", [])]
    yield _table("Parameters", rows, document)
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        body = _resolved(content["schema"], document)
        required = body.get("required", [])
        rows = [(name, schema, name in required) for name, schema in body.get("properties", {}).items()]
        yield _table(f"Body, {media_type}", rows, document)
        for example in body.get("examples", []):
            yield f"<pre>{escape(json.dumps(example, indent=2))}</pre>"
    replies = [
        f"<code>{escape(status)}</code> {escape(', '.join([reply['description'], *reply.get('content', {})]))}"
        for status, reply in operation["responses"].items()
    ]
    yield f"<p>Replies: {'<br>'.join(replies)}</p>"


def _table(caption: str, rows: list[tuple[str, _Node, bool]], document: _Node) -> str:
    """`rows`: name, schema, whether it must be there."""
    if not rows:
        return ""
    lines = [
        f"<tr><td><code>{escape(name)}</code>{' (required)' if required else ''}<td>{escape(_kind(schema, document))}"
        f"<td>{escape(schema.get('description', ''))}"
        for name, schema, required in rows
    ]
    return f"<p>{escape(caption)}</p><table>{''.join(lines)}</table>"


def _kind(schema: _Node, document: _Node) -> str:
    """What a value may be, in words."""
    schema = _resolved(schema, document)
    if "anyOf" in schema:
        kinds = (_kind(each, document) for each in schema["anyOf"])
        return " or ".join(kind for kind in kinds if kind != "null")
    if values := schema.get("enum", [schema["const"]] if "const" in schema else []):
        return ", ".join(map(str, values))
    if "contentMediaType" in schema or schema.get("format") == "binary":
        return "file"
    return str(schema.get("type", "any"))


def _resolved(schema: _Node, document: _Node) -> _Node:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema
