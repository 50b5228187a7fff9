"""Each method of each door, as the protos, the routes and the OpenAPI document tell them, and each kind of caller. A
method that the table below does not know fails.
"""

import asyncio
import importlib
import pkgutil

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client import CollectorRegistry

import voxline.v1
from services.gateway.access import demands
from services.gateway.access.key import KeyLimits, Scope
from services.gateway.rest.app import ROUTERS, create_app

from .conftest import key, opened

FORM = {"data": {"name": "Ann", "id": "ann"}, "files": {"audio_sample": ("a.wav", b"sound")}}
SPEECH = {"text": "Hi.", "voice": {"name": "voices/ann"}}

# Method -> who may call it, and how it is called about the voice `ann`.
REST = {
    "POST /v1/audio/voices": ("voices", FORM),
    "GET /v1/audio/voices": ("all", {}),
    "GET /v1/audio/voices/{voice_id:path}": ("all", {}),
    "POST /v1/audio/speech": ("speak", {"json": {"input": "Hi.", "voice": "ann", "response_format": "pcm"}}),
    "DELETE /v1/audio/voices/{voice_id:path}": ("voices", {}),
    "GET /v1/audio/voice_consents": ("voices", {}),
    "POST /v1/audio/voice_consents": ("voices", {}),
    "GET /v1/audio/voice_consents/{consent_id}": ("voices", {}),
    "POST /v1/audio/voice_consents/{consent_id}": ("voices", {}),
    "DELETE /v1/audio/voice_consents/{consent_id}": ("voices", {}),
    "GET /v1": ("all", {}),
    "GET /v1/models": ("all", {}),
    "GET /v1/models/{model_id:path}": ("all", {}),
    "GET /v1/audio/models": ("all", {}),
    "GET /": ("all", {}),
    "GET /docs": ("all", {}),
    "GET /openapi.json": ("all", {}),
    "GET /health": ("probe", {}),
    "GET /healthz": ("probe", {}),
    "GET /readyz": ("probe", {}),
}
PATHS = {"voice_id:path": "ann", "consent_id": "c", "model_id": "tts-1", "model_id:path": "tts-1"}
_TTS = "/voxline.v1.TextToSpeechService"
RPC = {
    f"{_TTS}/CreateVoice": ("voices", {"voice_id": "ann", "reference": {"audio": "c291bmQ="}}),
    f"{_TTS}/ListVoices": ("all", {}),
    f"{_TTS}/GetVoice": ("all", {"name": "voices/ann"}),
    f"{_TTS}/Synthesize": ("speak", SPEECH),
    f"{_TTS}/SynthesizeBody": ("speak", {"speech": SPEECH}),
    f"{_TTS}/StreamingSynthesize": ("speak", {"config": {"voice": {"name": "voices/ann"}}}),
    f"{_TTS}/UpdateVoice": ("voices", {"voice": {"name": "voices/ann", "display_name": "Ann"}}),
    f"{_TTS}/DeleteVoice": ("voices", {"name": "voices/ann"}),
    "/voxline.v1.ModelService/GetModel": ("all", {}),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ("all", {"list_services": ""}),
    "/grpc.health.v1.Health/Check": ("probe", {}),
    "/grpc.health.v1.Health/List": ("probe", {}),
    "/grpc.health.v1.Health/Watch": ("probe", {}),
}
# Who is let in by methods that ask for something; all are by the rest.
LET_IN = {
    "speak": {"speak", "owner", "other", "admin", "environment"},
    "voices": {"voices", "owner", "other", "admin", "environment"},
}
WITHOUT_A_GOOD_KEY = {"nobody", "empty", "wrong", "long", "withdrawn"}
CALLERS = sorted({*LET_IN["speak"], *LET_IN["voices"], *WITHOUT_A_GOOD_KEY})


def rpc_methods() -> dict[str, type]:
    """Of all services on the public port -> the class of their requests."""
    modules = [
        importlib.import_module(f"voxline.v1.{found.name}") for found in pkgutil.iter_modules(voxline.v1.__path__)
    ]
    files = [module.DESCRIPTOR for module in modules if hasattr(module, "DESCRIPTOR")]
    return {
        f"/{service.full_name}/{method.name}": GetMessageClass(method.input_type)
        for file in (*files, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR)
        for service in file.services_by_name.values()
        for method in service.methods
    }


def rest_methods() -> set[str]:
    """Also those that the OpenAPI document does not tell."""
    app = create_app(None, CollectorRegistry(), None)
    routes = [*(route for route in app.routes if hasattr(route, "path")), *(r for each in ROUTERS for r in each.routes)]
    methods = {f"{method} {route.path}" for route in routes for method in route.methods if method != "HEAD"}
    told = {f"{method.upper()} {path}" for path, item in app.openapi()["paths"].items() for method in item}
    assert told <= {method.replace(":path}", "}") for method in methods}
    return methods


def test_every_method_is_in_the_table_and_in_the_list_of_demands() -> None:
    assert set(rpc_methods()) == set(RPC) == set(demands.RPC)
    assert rest_methods() == set(REST) == {f"{method} {path}" for method, path in demands.REST}


async def test_every_service_of_the_server_is_in_the_table(doors) -> None:
    request = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()
    _, (answer,) = await doors.rpc("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", [request])
    listed = reflection_pb2.ServerReflectionResponse.FromString(answer).list_services_response.service
    assert {service.name for service in listed} == {method.split("/")[1] for method in RPC}


async def rest(doors, method: str, secret: str | None):
    verb, path = method.split(" ")
    for name, value in PATHS.items():
        path = path.replace(f"{{{name}}}", value)
    return await doors.rest(verb, path, secret, **REST[method][1])


async def rpc(doors, method: str, secret: str | None):
    message = ParseDict(RPC[method][1], rpc_methods()[method]())
    return await doors.rpc(method, [message.SerializeToString()], secret)


def door_of(method: str) -> tuple:
    return (rest, REST) if method in REST else (rpc, RPC)


def outcome(answer) -> str:
    """401, 403, or in; the same for both doors."""
    if isinstance(answer, tuple):
        refused = {grpc.StatusCode.UNAUTHENTICATED: "401", grpc.StatusCode.PERMISSION_DENIED: "403"}
        return refused.get(answer[0], "in")
    return str(answer.status_code) if answer.status_code in (401, 403) else "in"


def expected(asked: str, caller: str) -> str:
    if asked not in LET_IN or caller in LET_IN[asked]:
        return "in"
    return "401" if caller in WITHOUT_A_GOOD_KEY else "403"


@pytest.mark.parametrize("caller", CALLERS)
async def test_each_method_lets_in_whom_it_should(doors, secrets, caller):
    found = {}
    for method in (*REST, *RPC):
        call, table = door_of(method)
        if caller == "long" and table is RPC:
            continue  # gRPC itself refuses such metadata.
        found[method] = outcome(await call(doors, method, secrets[caller]))
    assert found == {method: expected(door_of(method)[1][method][0], caller) for method in found}


@pytest.mark.parametrize("caller", CALLERS)
async def test_closed_reading_wants_a_key_for_all_but_probes(settings, keys, secrets, caller):
    async with opened(settings | {"api_key": "the key of the environment", "open_reading": False}, keys) as doors:
        for method in (*REST, *RPC):
            call, table = door_of(method)
            if caller == "long" and table is RPC:
                continue
            refused = caller in WITHOUT_A_GOOD_KEY and table[method][0] == "all"
            assert outcome(await call(doors, method, secrets[caller])) == (
                "401" if refused else expected(table[method][0], caller)
            ), method


@pytest.mark.parametrize("secret", [None, "", "unused"])
async def test_without_any_key_everybody_may_do_everything(settings, keys, secret):
    async with opened(settings, keys) as doors:
        for method in (*REST, *RPC):
            assert outcome(await door_of(method)[0](doors, method, secret)) == "in", method


def status(answer) -> str:
    if isinstance(answer, tuple):
        return answer[0].name
    return str(answer.status_code)


ABOUT_A_VOICE = [
    "GET /v1/audio/voices/{voice_id:path}",
    "POST /v1/audio/speech",
    "DELETE /v1/audio/voices/{voice_id:path}",
    f"{_TTS}/GetVoice",
    f"{_TTS}/Synthesize",
    f"{_TTS}/SynthesizeBody",
    f"{_TTS}/UpdateVoice",
    f"{_TTS}/DeleteVoice",
]


def test_every_method_that_names_a_voice_is_among_those() -> None:
    by_path = {method for method in REST if "{voice_id" in method}
    by_name = {method for method, (_, message) in RPC.items() if "voices/ann" in str(message)}
    assert by_path | by_name <= {*ABOUT_A_VOICE, f"{_TTS}/StreamingSynthesize"}


@pytest.mark.parametrize("caller", ["other", "owner", "admin", "environment"])
@pytest.mark.parametrize("method", ABOUT_A_VOICE)
async def test_anothers_voice_is_not_found_at_any_door(doors, secrets, method, caller):
    await rest(doors, "POST /v1/audio/voices", secrets["owner"])
    call, _ = door_of(method)
    answer = await call(doors, method, secrets[caller])
    if caller == "other":
        assert status(answer) in ("404", "NOT_FOUND")
        assert status(await call(doors, method, secrets["owner"])) in ("200", "OK")
    else:
        assert status(answer) in ("200", "OK")


async def test_anothers_voice_is_not_found_by_a_text_stream(doors, secrets):
    await rest(doors, "POST /v1/audio/voices", secrets["owner"])
    method = f"{_TTS}/StreamingSynthesize"
    cls = rpc_methods()[method]
    messages = [ParseDict(RPC[method][1], cls()).SerializeToString(), cls(text="Hi.").SerializeToString()]
    for caller, code in (("other", grpc.StatusCode.NOT_FOUND), ("owner", grpc.StatusCode.OK)):
        assert (await doors.rpc(method, messages, secrets[caller]))[0] == code


async def test_lists_show_what_a_caller_may_read(doors, secrets):
    await rest(doors, "POST /v1/audio/voices", secrets["owner"])
    for caller in CALLERS:
        answer = await rest(doors, "GET /v1/audio/voices", secrets[caller])
        listed = [voice["id"] for voice in answer.json()["voices"]]
        assert ("ann" in listed) == (caller in ("owner", "admin", "environment")), caller
        assert {"female", "alloy"} <= set(listed)
        if caller != "long":
            _, (answer,) = await rpc(doors, f"{_TTS}/ListVoices", secrets[caller])
            assert (b"voices/ann" in answer) == ("ann" in listed)


@pytest.mark.parametrize("method", ["POST /v1/audio/voices", f"{_TTS}/CreateVoice"])
async def test_id_of_anothers_voice_is_taken_and_no_more_is_told(doors, secrets, doubles, method):
    await rest(doors, "POST /v1/audio/voices", secrets["owner"])
    call, _ = door_of(method)
    mine, anothers = [await call(doors, method, secrets[caller]) for caller in ("owner", "other")]
    assert status(mine) == status(anothers) in ("409", "ALREADY_EXISTS")
    if method in REST:
        assert mine.json() == anothers.json()
    assert doubles.tokenizer.calls == 1


async def test_voice_made_while_there_were_no_keys_is_read_by_all_and_changed_by_admins(settings, keys):
    async with opened(settings, keys) as doors:
        await rest(doors, "POST /v1/audio/voices", None)
    narrow, admin = await key(keys, "speak", "voices"), await key(keys, "admin")
    async with opened(settings, keys) as doors:
        assert status(await rest(doors, "GET /v1/audio/voices/{voice_id:path}", None)) == "200"
        assert status(await rest(doors, "POST /v1/audio/speech", narrow)) == "200"
        for method in ("DELETE /v1/audio/voices/{voice_id:path}", f"{_TTS}/UpdateVoice", f"{_TTS}/DeleteVoice"):
            assert outcome(await door_of(method)[0](doors, method, narrow)) == "403", method
        assert status(await rest(doors, "DELETE /v1/audio/voices/{voice_id:path}", admin)) == "200"


async def test_keys_of_one_owner_share_its_voices(doors, secrets, keys):
    first, second = [await key(keys, "speak", "voices", owner="team") for _ in range(2)]
    while outcome(made := await rest(doors, "POST /v1/audio/voices", first)) == "401":
        pass
    assert status(made) == "200"
    assert status(await rest(doors, "GET /v1/audio/voices/{voice_id:path}", second)) == "200"
    assert status(await rest(doors, "GET /v1/audio/voices/{voice_id:path}", secrets["other"])) == "404"


async def test_doors_close_with_the_first_key_and_a_withdrawn_one_opens_none(settings, keys):
    """Without a restart; that it takes no longer than it may is the keyring's."""
    async with opened(settings, keys) as doors:
        assert status(await rest(doors, "POST /v1/audio/voices", None)) == "200"
        added, secret = await keys.add("first", frozenset({Scope.SPEAK}), KeyLimits())
        while status(await rest(doors, "POST /v1/audio/speech", None)) != "401":
            pass
        assert status(await rest(doors, "POST /v1/audio/speech", secret)) == "200"
        await keys.remove(added.id)
        while status(await rest(doors, "POST /v1/audio/speech", secret)) != "401":
            pass
        assert outcome(await rpc(doors, f"{_TTS}/Synthesize", secret)) == "401"
        await keys.forget()
        while status(await rest(doors, "POST /v1/audio/speech", None)) != "200":
            pass


@pytest.mark.parametrize("method", ["POST /v1/audio/speech", f"{_TTS}/Synthesize"])
async def test_two_keys_at_once_are_none(doors, secrets, method):
    """Proxies and servers disagree on which of two headers counts."""
    headers = [("authorization", f"Bearer {secrets[caller]}") for caller in ("owner", "wrong")]
    if method in REST:
        reply = await doors.http.request("POST", "/v1/audio/speech", headers=headers, **REST[method][1])
        assert reply.status_code == 401
    else:
        message = ParseDict(RPC[method][1], rpc_methods()[method]()).SerializeToString()
        call = doors.channel.unary_stream(method)(message, metadata=headers)
        assert await call.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_key_may_not_have_more_voices_than_the_setting_says(settings, keys):
    first, second, admin = [await key(keys, scope) for scope in ("voices", "voices", "admin")]

    async def created(doors, voice_id: str, secret: str) -> str:
        form = {"data": {"name": "Ann", "id": voice_id}, "files": {"audio_sample": ("a.wav", b"sound")}}
        return status(await doors.rest("POST", "/v1/audio/voices", secret, **form))

    async with opened(settings | {"max_voices_per_key": 1}, keys) as doors:
        assert [await created(doors, name, first) for name in ("a", "b")] == ["200", "413"]
        assert await created(doors, "b", second) == "200"
        assert [await created(doors, name, admin) for name in ("c", "d")] == ["200", "200"]
        assert status(await doors.rest("DELETE", "/v1/audio/voices/a", first)) == "200"
        assert await created(doors, "a", first) == "200"


async def test_limits_of_a_key_hold_at_every_door_and_the_time_to_come_again_is_told(settings, keys):
    limits = KeyLimits(characters_a_minute=10)
    narrow = await key(keys, "speak", limits=limits)
    body = {"json": {"input": "12345678", "response_format": "pcm"}}
    async with opened(settings, keys) as doors:
        assert status(await doors.rest("POST", "/v1/audio/speech", narrow, **body)) == "200"
        refused = await doors.rest("POST", "/v1/audio/speech", narrow, **body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 36
        cls = rpc_methods()[f"{_TTS}/Synthesize"]
        code, _ = await doors.rpc(f"{_TTS}/Synthesize", [cls(text="12345678").SerializeToString()], narrow)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED
        cls = rpc_methods()[f"{_TTS}/StreamingSynthesize"]
        stream = [cls(config={}).SerializeToString(), cls(text="12345678").SerializeToString()]
        code, _ = await doors.rpc(f"{_TTS}/StreamingSynthesize", stream, narrow)
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_requests_at_once_of_a_key_are_counted_over_both_doors(settings, keys, doubles):
    async def hold(place: int) -> None:
        await finish.wait()

    finish = asyncio.Event()
    doubles.llm.before = hold
    narrow = await key(keys, "speak", limits=KeyLimits(requests_at_once=1))
    async with opened(settings, keys) as doors:
        body = {"json": {"input": "Hi.", "voice": "male", "response_format": "pcm"}}
        running = asyncio.create_task(doors.rest("POST", "/v1/audio/speech", narrow, **body))
        await doubles.llm.live.until(1)
        assert status(await doors.rest("POST", "/v1/audio/speech", narrow, **body)) == "429"
        assert status(await rpc(doors, f"{_TTS}/Synthesize", narrow)) == "RESOURCE_EXHAUSTED"
        assert status(await doors.rest("GET", "/v1/audio/voices", narrow)) == "200"
        finish.set()
        assert status(await running) == "200"
        assert status(await doors.rest("POST", "/v1/audio/speech", narrow, **body)) == "200"
