"""Set-up's part of the build: compiles the C++ beside its source and into the wheel, so that nothing compiles at a
first start. Without g++ the wheel is there all the same, and serves without.
"""

import runpy
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = ("services/llm/engines/cpu/source.py", "services/codec/families/spark/layers/cpu/source.py")


class Kernels(BuildHookInterface[Any]):
    """Called by hatchling for wheels, editable ones too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version`: standard or editable. A wheel that holds a library is for this platform alone."""
        root = Path(self.root)
        sys.path.insert(0, str(root))
        from services.runtime.compiled import compile_to

        sources = [runpy.run_path(str(root / path))["SOURCE"] for path in SOURCES]
        libraries = [made for source in sources if (made := compile_to(source.packaged(), source))]
        if libraries and version == "standard":
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["force_include"] |= {str(path): str(path.relative_to(root)) for path in libraries}
