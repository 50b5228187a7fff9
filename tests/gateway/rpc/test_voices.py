"""Voices: made, listed in pages, deleted."""

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from services.gateway.voices.aliases import ALIASES
from services.runtime.errors import from_rpc_error
from voxline.v1 import text_to_speech_pb2 as pb

from .conftest import failure, listened, speech


async def test_voice_is_created_got_spoken_listed_and_deleted(stub, doubles):
    create = pb.CreateVoiceRequest(display_name="Ann", reference=pb.ReferenceAudio(audio=b"audio", transcript="Hm."))
    created = await stub.CreateVoice(create)
    assert (created.name, created.display_name, created.transcript) == ("voices/ann", "Ann", "Hm.")
    assert created.create_time.seconds > 0
    assert (created.reference_part.start_seconds, created.reference_part.end_seconds) == (0, 1)
    created.ClearField("reference_part")
    assert await stub.GetVoice(pb.GetVoiceRequest(name="voices/ann")) == created
    assert (await failure(stub.CreateVoice(create)))[0] is grpc.StatusCode.ALREADY_EXISTS
    listed = (await stub.ListVoices(pb.ListVoicesRequest())).voices
    assert [voice.name for voice in listed] == [
        f"voices/{name}" for name in (*sorted(ALIASES), "ann", "female", "male")
    ]
    assert [voice.name for voice in listed if not voice.built_in] == ["voices/ann"]
    assert {voice.name: voice.alias_of for voice in listed}["voices/alloy"] == "voices/female"
    for voice in listed:
        assert await stub.GetVoice(pb.GetVoiceRequest(name=voice.name)) == voice
    await listened(stub.Synthesize(speech(voice=pb.VoiceSelection(name=created.name))))
    assert doubles.llm.spoken[0].voice.speaker.global_tokens == (5, *b"aud")
    await stub.DeleteVoice(pb.DeleteVoiceRequest(name="voices/ann"))
    assert await failure(stub.GetVoice(pb.GetVoiceRequest(name="voices/ann"))) == (grpc.StatusCode.NOT_FOUND, "name")


async def test_built_in_voice_cannot_be_deleted_and_a_name_needs_its_form(stub):
    for name in ("voices/female", "voices/Alloy", "female", "voices/", "voices/.", "voices/.."):
        code, field = await failure(stub.DeleteVoice(pb.DeleteVoiceRequest(name=name)))
        assert (code, field) == (grpc.StatusCode.INVALID_ARGUMENT, "name")


async def test_bad_reference_names_its_field(stub):
    create = pb.CreateVoiceRequest(voice_id="ann", reference=pb.ReferenceAudio(audio=b"bad"))
    assert await failure(stub.CreateVoice(create)) == (grpc.StatusCode.INVALID_ARGUMENT, "reference.audio")


@pytest.mark.parametrize("size", [1, 2, 7, 100])
async def test_pages_join_to_the_list_though_a_voice_goes_in_between(stub, size):
    for name in ("ann", "bob", "eve"):
        reference = pb.ReferenceAudio(audio=b"audio")
        await stub.CreateVoice(pb.CreateVoiceRequest(voice_id=name, reference=reference))
    names, token, gone = [], "", False
    while True:
        page = await stub.ListVoices(pb.ListVoicesRequest(page_size=size, page_token=token))
        assert len(page.voices) <= size
        names += [voice.name for voice in page.voices]
        token = page.next_page_token
        if "voices/ann" in names and not gone:
            await stub.DeleteVoice(pb.DeleteVoiceRequest(name="voices/ann"))
            gone = True
        if not token:
            break
    assert names == [f"voices/{name}" for name in (*sorted(ALIASES), "ann", "bob", "eve", "female", "male")]


@pytest.mark.parametrize("name", ["voices/Female", "FEMALE", "voices/Alloy", "onyx"])
async def test_voice_speaks_however_its_name_is_written(stub, name):
    await listened(stub.Synthesize(speech(voice=pb.VoiceSelection(name=name))))


@pytest.mark.parametrize("name", ["voices/", "voices/..", ".", " "])
async def test_voice_without_an_id_does_not_speak_as_the_default(stub, name):
    call = listened(stub.Synthesize(speech(voice=pb.VoiceSelection(name=name))))
    assert await failure(call) == (grpc.StatusCode.INVALID_ARGUMENT, "voice.name")


async def test_voice_that_there_is_not_is_told_with_those_that_there_are(stub):
    with pytest.raises(
        grpc.aio.AioRpcError, match=r"no voice 'Nobody'\. There are alloy, .*verse, female, male;"
    ) as raised:
        await listened(stub.Synthesize(speech(voice=pb.VoiceSelection(name="voices/Nobody"))))
    assert from_rpc_error(raised.value).field == "voice"


async def test_page_token_of_another_form_is_refused(stub):
    assert await failure(stub.ListVoices(pb.ListVoicesRequest(page_token="?"))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "page_token",
    )


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["display_name"], ("Annie", "Hm.")),
        (["transcript"], ("Ann", "Ah.")),
        (["display_name", "transcript"], ("Annie", "Ah.")),
        ([], ("Annie", "Ah.")),
    ],
)
async def test_voice_is_updated_by_its_mask(stub, paths, expected):
    create = pb.CreateVoiceRequest(display_name="Ann", reference=pb.ReferenceAudio(audio=b"audio", transcript="Hm."))
    await stub.CreateVoice(create)
    voice = pb.Voice(name="voices/ann", display_name="Annie", transcript="Ah.")
    updated = await stub.UpdateVoice(pb.UpdateVoiceRequest(voice=voice, update_mask=FieldMask(paths=paths)))
    assert (updated.display_name, updated.transcript) == expected
    assert await stub.GetVoice(pb.GetVoiceRequest(name="voices/ann")) == updated


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("voices/nobody", "transcript", (grpc.StatusCode.NOT_FOUND, "voice.name")),
        ("voices/female", "transcript", (grpc.StatusCode.INVALID_ARGUMENT, "voice.name")),
        ("nobody", "transcript", (grpc.StatusCode.INVALID_ARGUMENT, "voice.name")),
        ("voices/ann", "create_time", (grpc.StatusCode.INVALID_ARGUMENT, "update_mask")),
    ],
)
async def test_update_that_cannot_be_names_its_field(stub, name, path, expected):
    voice = pb.Voice(name=name, transcript="Ah.")
    request = pb.UpdateVoiceRequest(voice=voice, update_mask=FieldMask(paths=[path]))
    assert await failure(stub.UpdateVoice(request)) == expected


async def test_value_over_its_limit_names_its_field(stub):
    too_large = grpc.StatusCode.INVALID_ARGUMENT
    long = pb.ReferenceAudio(audio=b"audio", transcript="x" * 2001)
    short = pb.ReferenceAudio(audio=b"audio")
    for request, field in (
        (pb.CreateVoiceRequest(voice_id="ann", reference=long), "reference.transcript"),
        (pb.CreateVoiceRequest(display_name="x" * 201, reference=short), "display_name"),
    ):
        assert await failure(stub.CreateVoice(request)) == (too_large, field)
    spoken = speech(voice=pb.VoiceSelection(reference=long))
    assert await failure(listened(stub.Synthesize(spoken))) == (too_large, "voice.reference.transcript")
    assert await failure(listened(stub.Synthesize(speech(text="a" * 50_001)))) == (too_large, "text")


async def test_update_of_what_no_database_stores_names_its_field(stub):
    await stub.CreateVoice(pb.CreateVoiceRequest(voice_id="ann", reference=pb.ReferenceAudio(audio=b"audio")))
    request = pb.UpdateVoiceRequest(voice=pb.Voice(name="voices/ann", display_name="a\0b"))
    assert await failure(stub.UpdateVoice(request)) == (grpc.StatusCode.INVALID_ARGUMENT, "voice.display_name")
