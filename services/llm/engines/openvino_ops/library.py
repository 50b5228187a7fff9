"""Compiles the operations where they run, once: 5 s, kept under a name made of all that it depends on."""

import ctypes
import hashlib
import logging
import platform
import subprocess
import tempfile
from pathlib import Path

import openvino as ov

_SOURCES = ("int8_layer.cpp", "int8_products.h")
_FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-Wall", "-Wno-psabi", "-DIMPLEMENT_OPENVINO_EXTENSION_API")
_HERE = Path(__file__).parent
_OPENVINO = Path(ov.__file__).parent

_SLOWER = "so the LLM runs on OpenVINO's own 8-bit kernels, which are slower."

_log = logging.getLogger(__name__)


def compiled(cache: Path) -> Path | None:
    """An OpenVINO extension; None where the CPU lacks the instructions, or g++ is missing or fails. Raises OSError."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return None
    target = cache / f"voxline-ops-{_source_digest()}.so"
    if not target.exists() and not _compile(target):
        return None
    return target if lanes(target) else None


def lanes(library: Path, wanted: int = 0) -> int:
    """32-bit values in the vectors of an operation that asks for so many; 0 where this CPU has no such instructions."""
    found: int = ctypes.CDLL(str(library)).voxline_lanes(ctypes.c_int64(wanted))
    return found


def _source_digest() -> str:
    """Of the operations, and of the OpenVINO and the C library that they are for: an older one could not load them."""
    digest = hashlib.sha256(" ".join((ov.get_version(), *platform.libc_ver(), *_FLAGS)).encode())
    for name in _SOURCES:
        digest.update((_HERE / name).read_bytes())
    return digest.hexdigest()[:32]


def _compile(target: Path) -> bool:
    """It appears whole by a rename or not at all, so processes that start together may all compile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    libraries = [str(path) for name in ("openvino", "tbb") for path in (_OPENVINO / "libs").glob(f"lib{name}.so.*")]
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=target.parent) as folder:
        made = Path(folder) / target.name
        files = [f"-I{_OPENVINO / 'include'}", str(_HERE / _SOURCES[0]), "-o", str(made), *libraries, "-lmvec"]
        try:
            subprocess.run(["g++", *_FLAGS, *files], check=True, capture_output=True, text=True)
        except FileNotFoundError:
            _log.warning("There is no g++, %s", _SLOWER)
            return False
        except subprocess.CalledProcessError as exc:
            _log.warning("g++ failed, %s", _SLOWER, extra={"stderr": exc.stderr})
            return False
        made.rename(target)
    return True
