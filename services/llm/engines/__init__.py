"""Engines by name. An engine, and what it needs, is imported when it is chosen."""

from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from services.llm.engines.engine import EngineLoader, EngineModel

ENGINES = {
    "openvino": "services.llm.engines.openvino:OpenVinoEngine",
    "transformers": "services.llm.engines.transformers:TransformersEngine",
    "vllm": "services.llm.engines.vllm:VllmEngine",
}

# Up to here a model's float32 weights stay in the caches of a CPU, and 8 bits gain little.
_SMALL_BYTES = 64 * 2**20


def _openvino_precision(model: EngineModel) -> str:
    return (
        "f32" if sum(path.stat().st_size for path in model.directory.glob("*.safetensors")) <= _SMALL_BYTES else "q8_0"
    )


_PRECISIONS: Mapping[str, Callable[[EngineModel], str]] = {
    "openvino": _openvino_precision,
    "transformers": lambda model: "f32",
    "vllm": lambda model: "bf16",
}

_NVIDIA = Path("/proc/driver/nvidia/gpus")


def engine_loader(name: str) -> EngineLoader:
    """Raises ValueError where the libraries of that engine are not installed."""
    module, attribute = ENGINES[name].split(":")
    try:
        loader: EngineLoader = getattr(import_module(module), attribute)
    except ModuleNotFoundError as exc:
        raise ValueError(f"Engine {name} needs {exc.name}, which is not installed: voxline[{name}].") from exc
    return loader


def default_engine() -> str:
    """vllm where it is installed and an NVIDIA GPU is there to run it; else openvino."""
    return "vllm" if _NVIDIA.exists() and find_spec("vllm") is not None else "openvino"


def default_precision(engine: str, model: EngineModel) -> str:
    return _PRECISIONS[engine](model)
