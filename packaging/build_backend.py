"""setuptools' build backend, which compiles the analysis into wheels where it can.

With ORDERFLOW_COMPILE=0 a wheel holds the Python sources alone, and runs anywhere.
"""

import os
import sys
import traceback
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

VARIABLE = "ORDERFLOW_COMPILE"
# mypy reads the types of what the compiled modules import, and fails where they are missing.
COMPILING_NEEDS = [
    "mypy>=1.18",
    "mypy-extensions>=1.1",
    "msgspec>=0.20",
    "numpy>=2.2",
    "pydantic>=2.12",
]

Config = dict[str, Any] | None


def get_requires_for_build_wheel(config_settings: Config = None) -> list[str]:
    """Return what a wheel's build needs: mypy as well, unless nothing is to be compiled."""
    needed: list[str] = build_meta.get_requires_for_build_wheel(config_settings)
    return needed if os.environ.get(VARIABLE) == "0" else [*needed, *COMPILING_NEEDS]


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Build a wheel: compiled with all flags, else with the compiler's own, else interpreted."""
    asked = os.environ.get(VARIABLE)
    for flags in [] if asked == "0" else ["fast", "plain"]:
        os.environ[VARIABLE] = flags
        try:
            return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
        except (Exception, SystemExit):  # noqa: BLE001 - the modules run without, whatever failed
            traceback.print_exc()
            print(f"Not compiled with {flags} flags", file=sys.stderr)
    os.environ[VARIABLE] = "0"
    print("Not compiled: the analysis runs interpreted, and slower", file=sys.stderr)
    return build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
