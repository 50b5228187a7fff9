"""No test depends on how fast it runs: pytest's own time limit catches what hangs."""

from hypothesis import HealthCheck, settings

settings.register_profile("voxline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("voxline")
