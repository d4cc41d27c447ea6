"""Build the package, with the analysis compiled where ORDERFLOW_COMPILE asks for it.

Everything else about the package is in pyproject.toml. packaging/build_backend.py sets the variable
while it builds a wheel; an editable installation compiles afterwards, in `make install`.
"""

import os
import runpy
import tempfile
from pathlib import Path

from setuptools import setup

compiling = runpy.run_path(str(Path(__file__).parent / "packaging" / "compile.py"))
with tempfile.TemporaryDirectory() as folder:
    flags = {"plain": [], "fast": compiling["FLAGS"]}.get(os.environ.get("ORDERFLOW_COMPILE", ""))
    setup(
        ext_modules=[] if flags is None else compiling["extensions"](f"{folder}/c", flags),
        cmdclass={"build_ext": compiling["build_command"]()},
        # Not build/, where modules that were deleted since would get into the wheel.
        options={"build": {"build_base": folder}},
    )
