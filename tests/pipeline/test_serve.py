"""`voxline serve`, as a newcomer meets it."""

import io
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import httpx
import pytest

from tests.pipeline.conftest import RunningStack

VOXLINE = (sys.executable, "-m", "services.cli")


class Serving:
    """A `voxline serve` in a process of its own, and what it has printed so far."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.printed = ""

    def read_until(self, pattern: str) -> "re.Match[str]":
        assert self.process.stdout is not None
        while (found := re.search(pattern, self.printed, re.DOTALL)) is None:
            line = self.process.stdout.readline()
            assert line, f"{pattern} never came:\n{self.printed}"
            self.printed += line
        return found

    def pids(self) -> dict[str, int]:
        self.read_until(r"gateway +\| started, pid \d+")
        return {name: int(pid) for name, pid in re.findall(r"(\w+) +\| started, pid (\d+)", self.printed)}

    def end(self) -> int:
        """The exit status; everything that was still to be printed is."""
        self.printed += self.process.communicate(timeout=120)[0]
        return self.process.returncode


@contextmanager
def serve(data: Path, *options: object) -> Iterator[Serving]:
    database = f"sqlite:///{data}/voices.db"
    command = [*VOXLINE, "serve", "--threads", "1", "--database", database, *map(str, options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield Serving(process)
        finally:
            process.terminate()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def seconds(audio: bytes) -> float:
    with av.open(io.BytesIO(audio), "r") as container:
        frames = list(container.decode(audio=0))
        return float(sum(frame.samples for frame in frames) / frames[0].sample_rate)


def test_printed_curl_line_makes_an_mp3_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with serve(tmp_path, "--any-ports") as serving:
        curl = serving.read_until(r"(curl .*?)\n\n").group(1)
        subprocess.run(f"{curl} --silent --show-error --fail", shell=True, check=True, cwd=tmp_path, timeout=300)
        pids = serving.pids()
        directories = {Path(path).parent for path in re.findall(r"socket=(\S+)", serving.printed)}
        assert [path.is_dir() for path in directories] == [True]
        serving.process.send_signal(signal.SIGINT)
        assert serving.end() == 0, serving.printed
    assert not any(path.exists() for path in directories)
    assert list(pids) == ["tokenizer", "llm", "detokenizer", "gateway"]
    assert all(is_gone(pid) for pid in pids.values())
    # "Hello, this is Voxline." takes a speaker one to three seconds.
    assert 0.6 < seconds((tmp_path / "speech.mp3").read_bytes()) < 4.5


def test_metrics_of_each_stage_are_where_it_says(tmp_path: Path) -> None:
    with serve(tmp_path, "--any-ports") as serving:
        for stage in ("tokenizer", "llm", "detokenizer", "gateway"):
            port = serving.read_until(rf"\b{stage} +\| INFO +serving \S+ metrics_port=(\d+)").group(1)
            assert f"voxline_{stage}_" in httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        serving.process.terminate()
        assert serving.end() == 0, serving.printed


def test_death_of_one_process_ends_all_and_names_it(tmp_path: Path) -> None:
    with serve(tmp_path, "--any-ports") as serving:
        pids = serving.pids()
        os.kill(pids["detokenizer"], signal.SIGKILL)
        assert serving.end() == 1
    assert "The detokenizer ended (status -9)" in serving.printed
    assert all(is_gone(pid) for pid in pids.values())


def test_stage_that_dies_and_one_that_is_stopped_are_started_again(tmp_path: Path) -> None:
    with serve(tmp_path, "--any-ports") as serving:
        curl = serving.read_until(r"(curl .*?)\n\n").group(1)
        pids = serving.pids()
        os.kill(pids["llm"], signal.SIGSTOP)
        serving.read_until(r"llm +\| does not answer and is killed.*llm +\| started, pid \d+.*llm +\| INFO +serving ")
        os.kill(pids["detokenizer"], signal.SIGKILL)
        serving.read_until(r"detokenizer +\| ended \(status -9\).*detokenizer +\| INFO +serving ")
        retried = f"{curl} --silent --show-error --fail --retry 60 --retry-delay 1 --retry-all-errors"
        subprocess.run(retried, shell=True, check=True, cwd=tmp_path, timeout=300)
        os.kill(serving.process.pid, signal.SIGINT)
        assert serving.end() == 0, serving.printed
    assert all(is_gone(pid) for pid in serving.pids().values())
    assert 0.6 < seconds((tmp_path / "speech.mp3").read_bytes()) < 4.5


def test_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with serve(tmp_path, "--http-port", port) as serving:
            assert serving.end() == 1
    assert re.search(rf"\b{port} \(http\)", serving.printed)
    assert "started, pid" not in serving.printed


@pytest.mark.parametrize("encoding", ["mp3", "opus", "flac"])
def test_said_file_lasts_as_long_as_its_wav(stack: RunningStack, tmp_path: Path, encoding: str) -> None:
    for suffix in ("wav", encoding):
        options = ["-o", f"said.{suffix}", "--seed", "7", "--url", stack.url]
        subprocess.run([*VOXLINE, "say", "One two three.", *options], check=True, cwd=tmp_path, timeout=300)
    expected = seconds((tmp_path / "said.wav").read_bytes())
    # The encoder's delay, and what fills its last frame: up to 2257 samples at 24 kHz.
    assert seconds((tmp_path / f"said.{encoding}").read_bytes()) == pytest.approx(expected, abs=0.1)
