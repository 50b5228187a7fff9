"""The compiled operations."""

import ctypes
from pathlib import Path

import openvino as ov

from services.runtime import compiled as runtime
from services.runtime.compiled import Source

_HERE = Path(__file__).parent
_OPENVINO = Path(ov.__file__).parent


def compiled(cache: Path) -> Path | None:
    """An OpenVINO extension; None where the CPU lacks the instructions, or it cannot be compiled."""
    library = runtime.compiled(_source(), cache)
    return library if library and lanes(library) else None


def lanes(library: Path, wanted: int = 0) -> int:
    """32-bit values in the vectors of an operation that asks for so many; 0 where this CPU has no such instructions."""
    found: int = ctypes.CDLL(str(library)).voxline_lanes(ctypes.c_int64(wanted))
    return found


def use_threads(library: Path, threads: int) -> None:
    """For the products of all operations of this process, from when none is computed; 0: as many as OpenVINO has."""
    ctypes.CDLL(str(library)).voxline_threads(ctypes.c_int64(threads))


def _source() -> Source:
    libraries = (str(path) for name in ("openvino", "tbb") for path in (_OPENVINO / "libs").glob(f"lib{name}.so.*"))
    return Source(
        name="voxline-ops",
        files=(_HERE / "int8_layer.cpp", _HERE / "int8_products.h"),
        flags=(
            "-Wno-psabi",
            "-DIMPLEMENT_OPENVINO_EXTENSION_API",
            f"-I{_OPENVINO / 'include'}",
            *libraries,
            "-lmvec",
        ),
        versions=(ov.get_version(),),
        without="so the LLM runs on OpenVINO's own 8-bit kernels, which are slower.",
    )
