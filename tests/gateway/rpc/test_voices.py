"""Voices: made, listed in pages, deleted."""

import grpc
import pytest

from services.gateway.rpc.pages import page
from services.gateway.voices.voice import VoiceResource
from services.runtime.errors import InvalidRequest
from voxline.v1 import text_to_speech_pb2 as pb

from .conftest import failure, listened, speech


async def test_voice_is_created_got_spoken_listed_and_deleted(stub, doubles):
    create = pb.CreateVoiceRequest(display_name="Ann", reference=pb.ReferenceAudio(audio=b"audio", transcript="Hm."))
    created = await stub.CreateVoice(create)
    assert (created.name, created.display_name, created.transcript) == ("voices/ann", "Ann", "Hm.")
    assert created.create_time.seconds > 0
    assert await stub.GetVoice(pb.GetVoiceRequest(name="voices/ann")) == created
    assert (await failure(stub.CreateVoice(create)))[0] is grpc.StatusCode.ALREADY_EXISTS
    listed = (await stub.ListVoices(pb.ListVoicesRequest())).voices
    assert [voice.name for voice in listed] == ["voices/female", "voices/male", "voices/ann"]
    assert listed[0].built_in
    await listened(stub.Synthesize(speech(voice=pb.VoiceSelection(name=created.name))))
    assert doubles.llm.spoken[0].clone.speaker.global_tokens == [5, *b"aud"]
    await stub.DeleteVoice(pb.DeleteVoiceRequest(name="voices/ann"))
    assert await failure(stub.GetVoice(pb.GetVoiceRequest(name="voices/ann"))) == (grpc.StatusCode.NOT_FOUND, "name")


async def test_built_in_voice_cannot_be_deleted_and_a_name_needs_its_form(stub):
    for name in ("voices/female", "female", "voices/"):
        code, field = await failure(stub.DeleteVoice(pb.DeleteVoiceRequest(name=name)))
        assert (code, field) == (grpc.StatusCode.INVALID_ARGUMENT, "name")


async def test_bad_reference_names_its_field(stub):
    create = pb.CreateVoiceRequest(voice_id="ann", reference=pb.ReferenceAudio(audio=b"bad"))
    assert await failure(stub.CreateVoice(create)) == (grpc.StatusCode.INVALID_ARGUMENT, "reference.audio")


def test_pages_join_to_the_list_though_a_voice_goes_in_between():
    voices = [VoiceResource(f"b{n}", "", built_in=True) for n in range(3)] + [
        VoiceResource(f"a{n}", "") for n in range(3)
    ]
    first = page(voices, 4, "")
    assert [voice.id for voice in first.voices] == ["b0", "b1", "b2", "a0"]
    rest = page([voice for voice in voices if voice.id != "a0"], 4, first.next_token)
    assert [voice.id for voice in rest.voices] == ["a1", "a2"]
    assert rest.next_token == ""


def test_page_token_of_another_form_is_refused():
    with pytest.raises(InvalidRequest):
        page([], 0, "?")
