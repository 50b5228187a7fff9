from pathlib import Path

import pytest

from tests.cli.conftest import Answer, FakeGateway, Voxline


def test_list_prints_one_id_a_line(gateway: FakeGateway, voxline: Voxline) -> None:
    gateway.answer = Answer(b'{"voices": [{"id": "female", "name": "Female"}, {"id": "anna", "name": "Anna"}]}')
    result = voxline("voices", "list")
    assert result.stdout == "female\nanna\n"
    assert gateway.asked[0].path == "/v1/audio/voices"


def test_add_sends_the_recording_its_name_and_its_words(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    recording = tmp_path / "anna.wav"
    recording.write_bytes(b"RIFF....")
    gateway.answer = Answer(b'{"id": "anna"}')
    result = voxline("voices", "add", "Anna", recording, "--transcript", "What she says.")
    assert (result.exit_code, result.stdout) == (0, "Added anna.\n")
    request = gateway.asked[0]
    assert request.headers["Content-Type"].startswith("multipart/form-data")
    for part in (b'name="audio_sample"; filename="anna.wav"', b"RIFF....", b"Anna", b"What she says."):
        assert part in request.body


def test_recording_that_is_not_there_is_said_so(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    result = voxline("voices", "add", "Anna", tmp_path / "none.wav")
    assert result.exit_code == 1
    assert "No such file" in result.stderr
    assert not gateway.asked


def test_remove_deletes_that_voice(gateway: FakeGateway, voxline: Voxline) -> None:
    result = voxline("voices", "remove", "anna")
    assert (result.exit_code, result.stdout) == (0, "Removed anna.\n")
    assert (gateway.asked[0].method, gateway.asked[0].path) == ("DELETE", "/v1/audio/voices/anna")


@pytest.mark.parametrize("voice", ["../models", "..", ".", "voices/..", "a/b", "voices/"])
def test_id_that_would_name_another_resource_never_leaves(gateway: FakeGateway, voxline: Voxline, voice: str) -> None:
    assert voxline("voices", "remove", voice).exit_code == 1
    assert not gateway.asked
