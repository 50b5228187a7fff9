"""The law of the source tree: who may import whom, and how long things may be."""

import ast
import importlib.metadata
import re
import statistics
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "services").rglob("*.py"))

# Package of services -> the packages of services that it may import. All may import the stubs, which import nothing.
MAY_IMPORT = {
    "runtime": {"runtime"},
    "contract": {"contract", "runtime"},
    "llm": {"llm", "contract", "runtime"},
    "codec": {"codec", "contract", "runtime"},
    "gateway": {"gateway", "contract", "runtime"},
    "cli": {"cli", "codec", "contract", "runtime"},
}
# What only families and engines know: the image of the gateway holds none of it.
HEAVY = {"torch", "transformers", "vllm"}

# Package of services -> the extras of pyproject.toml that an image for it installs.
EXTRAS = {
    "runtime": (),
    "contract": (),
    "llm": ("llm", "transformers", "vllm"),
    "codec": ("codec",),
    "gateway": ("gateway", "postgresql"),
    "cli": ("cli", "codec"),
}

# Inner layer of the gateway -> what of the gateway it may import besides itself. Surfaces (rest, rpc) know the request
# and the reply, and nothing of how one becomes the other; clients and encoders know nothing of the gateway, but
# how long clients may wait.
GATEWAY_LAYERS = {
    "access": {"voices.migration", "voices.sessions", "voices.tables"},
    "audio": set(),
    "clients": {"deadlines"},
    "http": set(),
    "text": {"request"},
    "voices": {"access.principal", "limits", "metrics", "replacement", "reply", "request", "stages", "text"},
    "rest": {"access", "audio.encoders", "interface", "reply", "request", "voices.voice"},
    "rpc": {"access", "interface", "reply", "request", "stages", "voices.voice"},
}

MEDIAN_LINES, P95_LINES, FILE_LINES = 6, 20, 300


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules that `path` imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide their direction"
            yield node.module or ""
            # `from services import llm` names a package only here.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length in lines of every function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared(extras: Sequence[str]) -> set[str]:
    """Names of the distributions that pyproject.toml asks for, with `extras`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(each for extra in extras for each in optional[extra])]
    return {normal(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


def within(package: str) -> list[Path]:
    return [path for path in SOURCES if path.is_relative_to(ROOT / "services" / package)]


def test_every_package_of_services_has_a_rule() -> None:
    packages = {path.parent.name for path in (ROOT / "services").glob("*/*.py")}
    assert packages == MAY_IMPORT.keys()


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in within(package)
        for name in imports(path)
        if name.startswith("services.") and name.split(".")[1] not in MAY_IMPORT[package]
    ]
    assert not wrong


def test_every_inner_layer_of_the_gateway_has_a_rule() -> None:
    packages = {path.parent.name for path in (ROOT / "services/gateway").glob("*/*.py")}
    assert packages == GATEWAY_LAYERS.keys()


@pytest.mark.parametrize("layer", GATEWAY_LAYERS)
def test_inner_layers_of_the_gateway_import_one_way(layer: str) -> None:
    allowed = tuple(f"services.gateway.{name}" for name in {layer, *GATEWAY_LAYERS[layer]})
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in within(f"gateway/{layer}")
        for name in imports(path)
        if name.startswith("services.gateway.") and not name.startswith(allowed)
    ]
    assert not wrong


def test_models_and_their_libraries_stay_in_families_and_engines() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in SOURCES
        if not {"families", "engines"} & set(path.relative_to(ROOT).parts)
        for name in imports(path)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_what_is_imported_is_declared(package: str) -> None:
    distributions = importlib.metadata.packages_distributions()
    wrong = {
        name
        for path in within(package)
        for name in (full.split(".")[0] for full in imports(path))
        if name not in {*sys.stdlib_module_names, "services", "voxline"}
        and not {normal(each) for each in distributions.get(name, [name])} & declared(EXTRAS[package])
    }
    assert not wrong


def test_gateway_knows_no_family_and_no_engine() -> None:
    assert not [path for path in within("gateway") if {"families", "engines"} & set(path.relative_to(ROOT).parts)]


def test_names_say_what_a_file_is_about() -> None:
    assert not [path for path in SOURCES if path.stem in ("utils", "util", "helpers", "common", "misc")]


def test_functions_fit_on_a_screen() -> None:
    lengths = dict(function for path in SOURCES for function in functions(path))
    quantiles = statistics.quantiles(lengths.values(), n=20)
    longest = sorted(lengths, key=lambda name: lengths[name])[-5:]
    assert statistics.median(lengths.values()) <= MEDIAN_LINES
    assert quantiles[-1] <= P95_LINES, longest


def test_files_fit_in_a_head() -> None:
    assert not [str(path.relative_to(ROOT)) for path in SOURCES if path.read_text().count("\n") > FILE_LINES]
