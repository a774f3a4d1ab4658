"""Installs a wheel with all that it needs into a new environment, and runs the demo.

python tests/installed_demo.py dist/rtil_jax-VERSION-py3-none-any.whl
"""

import os
import subprocess
import sys
import tempfile
import venv


def main(wheel: str) -> None:
    """Exits with what `rtil` exits with, where that is not 0."""
    wheel = os.path.abspath(wheel)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as folder:
        home = os.path.join(folder, "venv")
        venv.create(home, with_pip=True)
        scripts = os.path.join(home, "Scripts" if os.name == "nt" else "bin")
        pip = os.path.join(scripts, "pip"), "install", "--quiet", f"{wheel}[demo]"
        demo = "invert", "--config=configs/invert/demo.py", "--workdir=demo"
        for words in (
            pip,
            (os.path.join(scripts, "rtil"), "configs"),
            (os.path.join(scripts, "rtil"), *demo),
        ):
            print("$", *words, flush=True)
            subprocess.run(words, check=True, cwd=folder, env=environment)
        found = set(os.listdir(os.path.join(folder, "demo")))
        assert {"report.html", "results.csv", "recovered"} <= found, found


if __name__ == "__main__":
    main(*sys.argv[1:])
