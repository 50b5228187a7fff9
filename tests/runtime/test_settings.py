"""Flags beat environment beats default; whatever nobody knows is refused."""

import pytest
from pydantic import Field, ValidationError
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import ServerSettings, load_settings


class ExampleSettings(ServerSettings):
    model_config = SettingsConfigDict(env_prefix="VOXLINE_EXAMPLE_")

    threads: int = Field(1, ge=1)


def load(*arguments: str) -> ExampleSettings:
    return load_settings(ExampleSettings, arguments, "example")


def test_flags_beat_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_EXAMPLE_THREADS", "2")
    monkeypatch.setenv("VOXLINE_EXAMPLE_DRAIN_SECONDS", "7")
    settings = load("--threads", "3")
    assert (settings.threads, settings.drain_seconds, settings.host) == (3, 7.0, "127.0.0.1")


def test_an_unknown_environment_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLINE_EXAMPLE_THREDS", "2")
    with pytest.raises(SystemExit, match="VOXLINE_EXAMPLE_THREDS"):
        load()


@pytest.mark.parametrize("arguments", [("--nonsense", "1"), ("--threads", "many")])
def test_a_bad_flag_ends_the_program(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        load(*arguments)
    assert caught.value.code != 0


def test_a_value_out_of_range_names_its_setting() -> None:
    with pytest.raises(SystemExit, match=r"threads: .*greater than or equal to 1"):
        load("--threads", "0")


def test_settings_are_frozen() -> None:
    settings = load()
    with pytest.raises(ValidationError):
        settings.threads = 2
