"""Variables that Kubernetes makes are no settings; those that nobody reads are told."""

import pytest

from services.llm.settings import LlmSettings
from services.runtime.environment import forgotten
from services.runtime.settings import load_settings

KUBERNETES = {
    "VOXLINE_LLM_PORT": "tcp://10.0.0.1:50051",
    "VOXLINE_LLM_SERVICE_HOST": "10.0.0.1",
    "VOXLINE_LLM_SERVICE_PORT": "50051",
    "VOXLINE_LLM_SERVICE_PORT_GRPC": "50051",
    "VOXLINE_LLM_PORT_50051_TCP": "tcp://10.0.0.1:50051",
    "VOXLINE_LLM_PORT_50051_TCP_ADDR": "10.0.0.1",
    "VOXLINE_LLM_PORT_50051_TCP_PORT": "50051",
    "VOXLINE_LLM_PORT_50051_TCP_PROTO": "tcp",
    "VOXLINE_LLM_METRICS_PORT": "tcp://10.0.0.2:9100",
    "VOXLINE_LLM_VLLM_SERVICE_HOST": "10.0.0.3",
    "VOXLINE_PORT": "tcp://10.0.0.4:80",
    "VOXLINE_SERVICE_HOST": "10.0.0.4",
}
FLAGS = ["--model", "."]


def test_what_kubernetes_makes_is_ignored(monkeypatch) -> None:
    for name, value in KUBERNETES.items():
        monkeypatch.setenv(name, value)
    settings, fields = load_settings(LlmSettings, FLAGS, "llm"), LlmSettings.model_fields
    assert (settings.port, settings.metrics_port) == (fields["port"].default, fields["metrics_port"].default)
    assert forgotten(KUBERNETES) == []


@pytest.mark.parametrize(("value", "port"), [("50051", 50051), ("0", 0)])
def test_a_setting_of_the_same_name_counts(monkeypatch, value: str, port: int) -> None:
    monkeypatch.setenv("VOXLINE_LLM_PORT", value)
    assert load_settings(LlmSettings, FLAGS, "llm").port == port


@pytest.mark.parametrize("name", ["VOXLINE_LLM_PROT", "VOXLINE_LLM_SERVICE", "VOXLINE_LLM_TCP_PORTS"])
def test_a_setting_that_there_is_not_is_an_error_still(monkeypatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SystemExit, match=name):
        load_settings(LlmSettings, FLAGS, "llm")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("VOXLINE_GATWAY_API_KEY", "VOXLINE_GATEWAY_API_KEY"),
        ("VOXLINE_DETOKENISER_THREADS", "VOXLINE_DETOKENIZER_THREADS"),
        ("VOXLINE_URLS", "VOXLINE_URL"),
        ("VOXLINE_FOO", ""),
    ],
)
def test_what_nobody_reads_is_told(name: str, meant: str) -> None:
    (line,) = forgotten({name: "1", "VOXLINE_URL": "x", "VOXLINE_LLM_PORT": "1", "PATH": "/"})
    assert line.startswith(name)
    assert meant in line
