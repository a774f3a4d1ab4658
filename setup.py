"""Puts `configs/` into the wheel; all else is in setup.cfg."""

import os
import shutil

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithConfigs(build_py):
    """Copies the config files to where `rtil_jax.cli.config_files` looks."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            target = os.path.join(self.build_lib, "rtil_jax", "shipped", "configs")
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(
                "configs", target, ignore=shutil.ignore_patterns("__pycache__")
            )


setup(cmdclass={"build_py": BuildWithConfigs})
