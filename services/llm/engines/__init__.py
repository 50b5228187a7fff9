"""Engines by name. An engine, and what it needs, is imported when it is chosen; cpu, which needs little, always."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from services.llm.engines.cpu.engine import runs
from services.llm.engines.engine import EngineLoader, EngineModel

ENGINES = {
    "cpu": "services.llm.engines.cpu.engine:CpuEngine",
    "transformers": "services.llm.engines.transformers:TransformersEngine",
    "vllm": "services.llm.engines.vllm:VllmEngine",
}

# On CPUs 8 bits are twice as fast as float32, even where that fits the caches; see docs/performance.md.
_PRECISIONS = {"cpu": "int8", "transformers": "f32", "vllm": "bf16"}

_NVIDIA = Path("/proc/driver/nvidia/gpus")


def engine_loader(name: str) -> EngineLoader:
    """Raises ValueError where the libraries of that engine are not installed."""
    module, attribute = ENGINES[name].split(":")
    try:
        loader: EngineLoader = getattr(import_module(module), attribute)
    except ModuleNotFoundError as exc:
        raise ValueError(f"Engine {name} needs {exc.name}, which is not installed: voxline[{name}].") from exc
    return loader


def default_engine(model: EngineModel, cache: Path) -> str:
    """vllm where it is installed and an NVIDIA GPU is there to run it; else cpu where it can be compiled, into `cache`,
    and computes such a model; else transformers.
    """
    if _NVIDIA.exists() and find_spec("vllm") is not None:
        return "vllm"
    return "cpu" if runs(model, cache) else "transformers"


def default_precision(engine: str) -> str:
    return _PRECISIONS[engine]
