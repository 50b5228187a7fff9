from pathlib import Path

import pytest

from services.cli.failure import Failure
from services.cli.model import BUNDLED, PUBLISHED, find_model


def test_bundled_voice_is_the_default_wherever_the_user_stands(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_model(None, "main") == BUNDLED
    assert (BUNDLED / "LLM" / "config.json").is_file()


def test_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert find_model(str(tmp_path), "main") == tmp_path


@pytest.mark.parametrize("model", ["/no/such", "./no-such/model", "no-such", "a/b/c"])
def test_folder_that_is_not_there_is_no_hub_id(model: str) -> None:
    with pytest.raises(Failure, match="There is no folder"):
        find_model(model, "main")


def test_download_that_fails_says_what_and_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(Failure, match=rf"Downloading {PUBLISHED} \(revision v1\) failed"):
        find_model(PUBLISHED, "v1")
