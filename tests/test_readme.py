"""What README names is there."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli.__main__ import app
from services.gateway.settings import GatewaySettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_every_make_target_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", re.sub(r"[A-Z_]+=\S+ ", "", README)))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"run", "test", "lint"} <= named
    assert named <= targets


@pytest.mark.parametrize(
    "command", sorted(set(re.findall(r"^\| `voxline ((?:voices |keys |codec )?[a-z]+)", README, re.M)))
)
def test_every_command_exists(command: str) -> None:
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert f"Usage: voxline {command}" in " ".join(result.output.split())


def test_every_link_into_the_tree_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_every_limit_of_values_is_named_with_its_default() -> None:
    named = dict(re.findall(r"\| `(MAX_[A-Z_]+)`[^|]*\| ([\d ]+)", README))
    limits = {
        name.upper(): field.default
        for name, field in GatewaySettings.model_fields.items()
        if re.fullmatch("max_(.*_characters|json_values|voices_per_key)", name)
    }
    assert len(limits) > 5
    assert {name: int(value.replace(" ", "")) for name, value in named.items() if name in limits} == limits


@pytest.mark.parametrize("setting", sorted(set(re.findall(r"\bVOXLINE_GATEWAY_([A-Z_]+[A-Z])\b", README))))
def test_every_setting_of_the_gateway_that_is_named_exists(setting: str) -> None:
    assert setting.lower() in GatewaySettings.model_fields
