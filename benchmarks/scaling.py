"""Times steps of growing size, and compilation with and without a cache.

    python -m benchmarks.scaling

Step times: ILO's stage 0 against batch size, image size and number of devices,
mGANprior against the number of codes. Virtual devices share the same cores, so they
cannot be faster; the table says what splitting a batch costs. Compile times: the first
step of a fresh process whose persistent cache is empty, then of another that finds it
full. Each row is a process of its own; the median of its steps and CPU seconds.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.timing import seconds_of, table

CALLS = 3
PLAIN = {"method": "ilo", "pixels": 32, "batch": 4, "codes": 20, "devices": 1}
SWEEPS = {
    "batch": (1, 4, 16, 64),
    "pixels": (32, 64, 128),
    "devices": (1, 2, 4),
}
CODES = (1, 5, 10, 20, 40)


def child(setting: dict) -> None:
    """Prints what one setting takes, in a process that does nothing else."""
    start = time.perf_counter()
    import jax

    from benchmarks import ours
    from rtil_jax import generators
    from rtil_jax.inversion.at_once import STEPS_AT_ONCE

    size, batch = setting["pixels"], setting["batch"]
    styled = setting["method"] == "ilo"
    kind = generators.StyleGAN2Generator if styled else generators.PGGANGenerator
    generator = kind(size)
    variables = jax.jit(lambda key: generators.init(generator, key))(jax.random.key(0))
    if styled:
        task = ours.ilo(generator, variables, 0, batch)
    else:
        task = ours.mganprior(generator, variables, 2, batch, setting["codes"])
    call = task.steps()
    ready = time.perf_counter() - start
    first, _ = seconds_of(call)
    call()
    wall, cpu = np.transpose([seconds_of(call) for _ in range(CALLS)]) / STEPS_AT_ONCE
    result = {"ready": ready, "first": first}
    print(json.dumps(result | {"wall": np.median(wall), "cpu": np.median(cpu)}))


def measure(cache: str, **changes: object) -> dict:
    """What a child process says about PLAIN with `changes`."""
    setting = PLAIN | changes
    flags = f"--xla_force_host_platform_device_count={setting['devices']}"
    environment = os.environ | {
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {flags}",
        "JAX_COMPILATION_CACHE_DIR": cache,
    }
    command = [sys.executable, "-m", "benchmarks.scaling", "--child"]
    done = subprocess.run(
        [*command, json.dumps(setting)],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def step_rows(cache: str) -> list[list]:
    """One row per value of each sweep."""
    rows = []
    sweeps = [({"method": "ilo"}, *sweep) for sweep in SWEEPS.items()]
    sweeps.append(({"method": "mganprior", "batch": 1}, "codes", CODES))
    for fixed, name, values in sweeps:
        for value in values:
            setting = fixed | {name: value}
            found = measure(cache, **setting)
            batch = (PLAIN | setting)["batch"]
            times = (f"{1e3 * found[clock] / batch:.1f}" for clock in ("wall", "cpu"))
            rows.append([fixed["method"], f"{name} {value}", *times])
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def compile_rows() -> list[list]:
    """Cold and warm, for the sizes that people start with."""
    rows = []
    for pixels in (32, 64):
        with tempfile.TemporaryDirectory() as cache:
            for state in ("cold", "warm"):
                found = measure(cache, pixels=pixels)
                before, first = found["ready"], found["first"]
                rows.append([pixels, state, f"{before:.1f}", f"{first:.1f}"])
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(json.loads(arguments.child))
    plain = ", ".join(f"{name} {value}" for name, value in PLAIN.items())
    header = ["pixels", "cache", "before the first call, s"]
    header += ["first call, of ten steps, s"]
    print(table(header, compile_rows()))
    print(f"\nUnless the row says otherwise: {plain}\n")
    with tempfile.TemporaryDirectory() as cache:
        header = ["method", "setting", "ms per image-step", "CPU ms"]
        print(table(header, step_rows(cache)))


if __name__ == "__main__":
    main()
