"""What the four processes are told, as they read it."""

import stat
from pathlib import Path

import pytest

from services.cli.ports import Ports
from services.cli.stack import STAGES, Stack, socket_directory
from services.codec.settings import DetokenizerSettings, TokenizerSettings
from services.gateway.settings import GatewaySettings
from services.llm.settings import LlmSettings
from services.runtime.settings import ServerSettings, load_settings

SETTINGS: dict[str, type[ServerSettings]] = {
    "tokenizer": TokenizerSettings,
    "llm": LlmSettings,
    "detokenizer": DetokenizerSettings,
}


def loaded(stack: Stack, name: str, monkeypatch: pytest.MonkeyPatch) -> ServerSettings:
    program = next(program for program in stack.programs() if program.name == name)
    flags = program.command[program.command.index("-m") + 2 :]
    flags = flags[2:] if flags[0] == "--role" else flags
    with monkeypatch.context() as environment:
        for variable, value in program.defaults.items():
            environment.setenv(variable, value)
        return load_settings({**SETTINGS, "gateway": GatewaySettings}[name], flags, name)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(tmp_path, Ports(1, 2), tmp_path / "sockets")


def test_gateway_looks_for_each_stage_where_it_listens(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = loaded(stack, "gateway", monkeypatch)
    for stage in STAGES:
        assert getattr(gateway, stage) == f"unix:{loaded(stack, stage, monkeypatch).socket}"


@pytest.mark.parametrize("stage", [*STAGES, "gateway"])
def test_metrics_of_a_stage_take_a_free_port(stack: Stack, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loaded(stack, stage, monkeypatch).metrics_port == 0


def test_directory_of_sockets_is_ours_alone_short_and_gone_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/" + "x" * 200)
    with socket_directory() as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert len(str(directory / "detokenizer")) <= 103
        (directory / "llm").touch()
    assert not directory.exists()
