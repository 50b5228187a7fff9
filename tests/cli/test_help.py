"""What a newcomer reads first."""

import pytest

from tests.cli.conftest import Voxline


@pytest.mark.parametrize(
    ("command", "mentions"),
    [
        ([], "voxline serve"),
        (["serve"], "Ctrl-C"),
        (["say"], "hello.mp3"),
        (["voices", "add"], "anna.wav"),
        (["keys", "add"], "--scopes speak"),
        (["codec", "encode"], "anna.json"),
        (["fetch"], "licence"),
    ],
)
def test_help_of_every_command_shows_how_to_use_it(voxline: Voxline, command: list[str], mentions: str) -> None:
    result = voxline(*command, "--help")
    assert result.exit_code == 0
    assert mentions in result.output
