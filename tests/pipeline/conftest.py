"""The real thing for the tests of this folder: all four processes with the bundled voice, started once."""

from collections.abc import Iterator

import pytest

from bench.stack import RunningStack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def stack_url(stack: RunningStack) -> str:
    return stack.url
