"""What callers of `voxline say` meet on their machines: proxies, encodings, full disks, files that say no length."""

import codecs
import io
import json
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from services.cli.audio_file import tell_length
from services.gateway.audio.encoders import ENCODERS
from tests.cli.conftest import Answer, FakeGateway, Voxline

PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9", "nonsense://x"])
def test_no_proxy_is_asked_for_this_machine(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path, name: str, proxy: str
) -> None:
    result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3", more={name: proxy})
    assert result.exit_code == 0, result.output
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:9", "nonsense://x"])
def test_a_proxy_that_cannot_be_used_is_one_line(voxline: Voxline, tmp_path: Path, proxy: str) -> None:
    outside = {"VOXLINE_URL": "http://voxline.example", "ALL_PROXY": proxy}
    result = voxline("say", "Hello.", "-o", tmp_path / "a.mp3", more=outside)
    assert result.exit_code == 1
    assert result.stderr.startswith("voxline: The proxy")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "data",
    [
        "Grüß Gott.".encode(),
        codecs.BOM_UTF8 + "Grüß Gott.".encode(),
        "Grüß Gott.".encode("utf-16"),
        codecs.BOM_UTF16_BE + "Grüß Gott.".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "Grüß Gott.".encode("utf-32-le"),
    ],
)
def test_text_that_says_its_encoding_is_read(gateway: FakeGateway, voxline: Voxline, data: bytes) -> None:
    voxline("say", "-", "-o", "-", "--format", "pcm", stdin=data)
    assert json.loads(gateway.asked[0].body)["input"] == "Grüß Gott."


@pytest.mark.parametrize(
    "data", ["Grüß Gott.".encode("latin-1"), b"caf\xe9", codecs.BOM_UTF16_LE + b"a\x00b", b"\xed\xa0\x80"]
)
def test_text_in_another_encoding_is_refused_in_one_line(gateway: FakeGateway, voxline: Voxline, data: bytes) -> None:
    result = voxline("say", "-", "-o", "-", "--format", "pcm", stdin=data)
    assert result.exit_code == 1
    assert result.stderr.startswith("voxline: Standard input is not UTF-")
    assert "iconv" in result.stderr
    assert not gateway.asked


@pytest.mark.parametrize("option", ["--voice", "--model"])
def test_an_argument_that_is_no_text_is_refused(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path, option: str
) -> None:
    for arguments in (["caf\udce9"], ["Hi.", option, "\udcff"]):
        result = voxline("say", *arguments, "-o", tmp_path / "a.mp3")
        assert result.exit_code == 1
        assert "is not UTF-8" in result.stderr
    assert not gateway.asked


@pytest.mark.parametrize(
    "options", [["--speed", "nan"], ["--speed", "inf"], ["--speed", "-inf"], ["--api-key", "é"], ["--api-key", "a\nb"]]
)
def test_values_that_cannot_be_sent_are_one_line(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path, options: list[str]
) -> None:
    result = voxline("say", "Hi.", "-o", tmp_path / "a.mp3", *options)
    assert result.exit_code == 1
    assert result.stderr.startswith("voxline: ")
    assert not gateway.asked


@pytest.mark.parametrize("name", ["a.txt", "a.mp3.bak", "notes.md"])
def test_a_suffix_that_is_no_format_is_named(gateway: FakeGateway, voxline: Voxline, tmp_path: Path, name: str) -> None:
    result = voxline("say", "Hi.", "-o", tmp_path / name)
    assert name in result.stderr
    assert "--format" in result.stderr
    assert not gateway.asked


def streamed(encoding: str, samples: int) -> bytes:
    """As the gateway sends it."""
    import numpy as np

    encoder = ENCODERS[encoding](16000, 24000)
    return encoder.encode(np.zeros(samples, np.float32)) + encoder.flush()


@pytest.mark.parametrize("samples", [1, 16000, 100_001])
def test_a_wav_file_says_its_length(gateway: FakeGateway, voxline: Voxline, tmp_path: Path, samples: int) -> None:
    gateway.answer = Answer(streamed("wav", samples))
    assert voxline("say", "Hi.", "-o", tmp_path / "a.wav").exit_code == 0
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getnframes() == (len(gateway.answer.body) - 44) // 2
        assert len(file.readframes(10**9)) == len(gateway.answer.body) - 44


@pytest.mark.parametrize("data", [b"", b"RIFF", streamed("mp3", 16000), streamed("flac", 16000), b"RIFF" + bytes(60)])
def test_every_other_file_is_left_as_it_is(data: bytes) -> None:
    file = io.BytesIO(data)
    tell_length(file)
    assert file.getvalue() == data


@pytest.mark.parametrize(("name", "whole"), [("a.flac", True), ("a.m4a", True), ("a.mp3", False), ("a.wav", False)])
def test_a_file_whose_head_has_its_length_is_asked_for_whole(
    gateway: FakeGateway, voxline: Voxline, tmp_path: Path, name: str, whole: bool
) -> None:
    voxline("say", "Hi.", "-o", tmp_path / name)
    assert (json.loads(gateway.asked[0].body)["stream"] is False) is whole


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_a_full_disk_is_one_line(gateway: FakeGateway) -> None:
    gateway.answer = Answer(b"sound" * 1000)
    command = f"{sys.executable} -m services.cli say Hi. -o - --format pcm --url {gateway.url} > /dev/full"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=120)
    assert (done.returncode, done.stderr.decode().count("\n")) == (1, 1)
    assert b"No space left" in done.stderr


def test_a_reader_that_has_enough_is_no_error(gateway: FakeGateway) -> None:
    gateway.answer = Answer(b"sound" * 200_000)
    command = f"{sys.executable} -m services.cli say Hi. -o - --format pcm --url {gateway.url} | head -c 10"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=120)
    assert (done.stdout, done.stderr) == (b"soundsound", b"")
