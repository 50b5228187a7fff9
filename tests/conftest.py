"""No test depends on how fast it runs: pytest's own time limit catches what hangs."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from services.runtime.compiled import Source

settings.register_profile("voxline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxline")


@pytest.fixture
def without_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No g++, and a package that was built without."""
    monkeypatch.setattr(Source, "packaged", lambda source: tmp_path / "absent" / source.name)
    monkeypatch.setenv("PATH", str(tmp_path))
    return monkeypatch
