import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, FakeGateway, Voxline


def sent(gateway: FakeGateway) -> dict[str, Any]:
    (request,) = gateway.asked
    assert (request.method, request.path) == ("POST", "/v1/audio/speech")
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_reply_is_written_and_the_format_is_the_suffix(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    gateway.answer = Answer(b"sound" * 1000)
    result = voxline("say", "Hello.", "-o", tmp_path / "a.flac", "--voice", "male", "--seed", 7, "--speed", 1.5)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.flac").read_bytes() == b"sound" * 1000
    body = sent(gateway)
    assert (body["input"], body["voice"], body["response_format"], body["seed"], body["speed"]) == (
        "Hello.",
        "male",
        "flac",
        7,
        1.5,
    )


@pytest.mark.parametrize(
    ("name", "options", "encoding"),
    [
        ("a.MP3", [], "mp3"),
        ("a.ogg", [], "ogg"),
        ("a.oga", [], "ogg"),
        ("a.m4a", [], "m4a"),
        ("a.bin", ["--format", "pcm"], "pcm"),
        ("a", ["--format", "wav"], "wav"),
    ],
)
def test_format(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path, name: str, options: list[str], encoding: str
) -> None:
    assert voxline("say", "Hello.", "-o", tmp_path / name, *options).exit_code == 0
    assert sent(gateway)["response_format"] == encoding


def test_what_is_not_said_is_left_to_the_server(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    voxline("say", "Hello.", "-o", tmp_path / "a.mp3")
    body = sent(gateway)
    assert (body["model"], body["voice"], body["seed"]) == (None, None, None)


def test_name_without_a_format_is_refused_before_anything_is_asked(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path
) -> None:
    result = voxline("say", "Hello.", "-o", tmp_path / "hello")
    assert result.exit_code == 1
    assert "--format" in result.output
    assert not gateway.asked


def test_text_from_standard_input_and_sound_to_standard_output(gateway: FakeGateway, voxline: Voxline) -> None:
    gateway.answer = Answer(b"\x00sound\xff")
    result = voxline("say", "-", "-o", "-", "--format", "pcm", stdin="From a pipe.")
    assert result.stdout_bytes == b"\x00sound\xff"
    assert sent(gateway)["input"] == "From a pipe."


def test_key_is_sent_as_a_bearer(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    voxline("say", "Hello.", "-o", tmp_path / "a.mp3", "--api-key", "secret")
    assert gateway.asked[0].headers["Authorization"] == "Bearer secret"


def test_words_of_the_server_are_shown_without_a_traceback(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path
) -> None:
    gateway.refuse(404, "There is no voice 'nobody'.")
    result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3", "--voice", "nobody")
    assert (result.exit_code, result.stderr) == (1, "voxline: There is no voice 'nobody'.\n")
    assert not list(tmp_path.iterdir())


def test_reply_of_something_else_is_shown_with_its_status(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path
) -> None:
    gateway.answer = Answer(b"<html>nginx</html>", status=502)
    result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3")
    assert result.stderr == "voxline: 502 Bad Gateway: <html>nginx</html>\n"


def test_reply_that_breaks_off_leaves_no_file(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    gateway.answer = Answer(b"half", promised=8)
    result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3")
    assert result.exit_code == 1
    assert "broke off" in result.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_no_file_is_written_to_and_stays(gateway: FakeGateway, voxline: Voxline, tmp_path: Path) -> None:
    gateway.answer = Answer(b"sound")
    (tmp_path / "real.wav").write_bytes(b"before")
    (tmp_path / "link.wav").symlink_to(tmp_path / "real.wav")
    assert voxline("say", "Hi.", "-o", tmp_path / "link.wav").exit_code == 0
    assert (tmp_path / "link.wav").is_symlink()
    assert (tmp_path / "real.wav").read_bytes() == b"sound"
    (tmp_path / "null.wav").symlink_to("/dev/null")
    assert voxline("say", "Hi.", "-o", tmp_path / "null.wav").exit_code == 0
    assert (tmp_path / "null.wav").is_char_device()


def test_silent_address_names_the_command_that_starts_a_server(voxline: Voxline, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3", "--url", url)
    assert result.exit_code == 1
    assert "voxline serve" in result.stderr


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://127.0.0.1:port"])
def test_address_that_is_none_is_said_so(voxline: Voxline, tmp_path: Path, url: str) -> None:
    result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3", "--url", url)
    assert result.exit_code == 1
    assert "is no address" in result.stderr


def test_folder_that_is_not_there_is_said_so(voxline: Voxline, tmp_path: Path) -> None:
    result = voxline("say", "Hello.", "-o", tmp_path / "none" / "a.mp3")
    assert result.exit_code == 1
    assert "No such file or directory" in result.stderr
