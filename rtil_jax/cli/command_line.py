"""What `train.py` and `invert.py` share: one clear line for what users get wrong."""

import atexit
import difflib
import functools
import logging
import os
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import NoReturn

import jax
from absl import app, flags
from absl import logging as absl_logging
from tqdm import tqdm

from rtil_jax.caches import COMPILED, bound, prune_compiled
from rtil_jax.checkpoints.orbax import silence_orbax
from rtil_jax.cli.command_help import (
    asks_for_help,
    is_help,
    key_flags,
    known_configs,
    print_configs,
    print_fields,
    print_usage,
)
from rtil_jax.errors import UserError
from rtil_jax.experiments.compiling import leave
from rtil_jax.experiments.stopping import INTERRUPTED, interruptible

# What absl and ml_collections say about a value of the wrong type -> what they expect.
_EXPECTED = {
    "int()": "an integer",
    "float": "a number",
    "boolean": "true or false",
    "not a dict": "one of its fields, --config.SECTION.FIELD=VALUE",
    "as tuple": "a tuple such as (1, 2)",
}


def run_main(main: Callable) -> None:
    """`absl.app.run`, with bad flags, configs and inputs as `error: ...`, exit code 1.

    Compiled programs are kept in the user's cache directory (JAX's own variable
    JAX_COMPILATION_CACHE_DIR names another), so that a second run of the same shapes
    starts at once. Libraries are silenced; this package's warnings are shown.
    """
    try:
        keep_compiled()
    except UserError as error:
        _fail(str(error))

    def guarded(argv):
        show_own_warnings_only()
        code = 0
        with interruptible():
            try:
                main(argv)
            except UserError as error:
                _fail(str(error))
            except KeyboardInterrupt:
                print("interrupted; the same command continues", file=sys.stderr)
                code = INTERRUPTED
        leave(code)

    app.run(
        guarded,
        flags_parser=functools.partial(_parse_flags, sys.modules[main.__module__]),
    )


def keep_compiled() -> None:
    """Turns JAX's persistent cache on, but for what its own variables say otherwise.

    Programs that were used longest ago are removed beyond $RTIL_JAX_COMPILED_GIB.

    Also for the many small programs that JAX by default compiles anew (those of less
    than a second): together they were a quarter of the time to a first step.
    """
    # JAX adds the attributes of its config when it runs.
    if jax.config.jax_compilation_cache_dir is None:  # type: ignore[attr-defined]
        jax.config.update("jax_compilation_cache_dir", os.path.expanduser(COMPILED))
        if jax.config.jax_compilation_cache_max_size == -1:  # type: ignore[attr-defined]
            prune_compiled(bound("RTIL_JAX_COMPILED_GIB"))
            atexit.register(prune_compiled, bound("RTIL_JAX_COMPILED_GIB"))
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


class _Messages(logging.Handler):
    """Writes `warning: ...` lines on stderr, above a progress bar if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        tqdm.write(text, file=sys.stderr)


def show_own_warnings_only() -> None:
    """Errors of other libraries, and warnings of the logger `rtil_jax`.

    `absl.app.run` has just set everything to INFO, which for Orbax alone is hundreds
    of lines.
    """
    absl_logging.set_verbosity(absl_logging.ERROR)
    silence_orbax()
    logger = logging.getLogger("rtil_jax")
    logger.setLevel(logging.WARNING)
    logger.handlers = [_Messages()]
    logger.propagate = False


def _parse_flags(module: ModuleType, argv: list[str]) -> list[str]:
    """absl's parser, with errors that name the flag, what was found and expected."""
    called = _config_path(argv)
    path = called and called.partition(":")[0]
    helping = asks_for_help(argv[1:])
    if helping:
        print_usage(module)
        if not path:
            print_configs(module)
            sys.exit(0)
        argv = [*filter(lambda argument: not is_help(argument), argv), "--workdir=DIR"]
    if path is not None and not os.path.isfile(path):
        expected = "expected FILE.py[:variant]"
        _fail(f"--config: found no file {path!r}, {expected}{_similar(path)}")
    try:
        remaining = flags.FLAGS(argv)
        # What ml_collections could not open raises only once it is touched.
        hasattr(flags.FLAGS.config, "lock")
    except flags.UnrecognizedFlagError as error:
        _fail(_unknown(error.flagname, module))
    except Exception as error:  # A configuration file can raise anything.
        _fail(_explain(error, argv, path))
    if remaining[1:]:
        _fail(f"command line: found {remaining[1]!r}, expected --NAME=VALUE only")
    if helping and path and called:
        print_fields(flags.FLAGS.config, path, called)
        sys.exit(0)
    return remaining


def _unknown(name: str, module: ModuleType) -> str:
    """What to write instead of a flag that there is not."""
    own = [flag.name for flag in key_flags(module)]
    near = difflib.get_close_matches(name.replace("-", "_"), own, 1, 0.7)
    expected = f"expected perhaps --{near[0]}" if near else ""
    if not near:
        listed = ", ".join(f"--{flag}" for flag in own)
        expected = f"expected one of {listed}, or a field as --config.FIELD=VALUE"
    return f"--{name}: found no such flag, {expected}"


def _similar(path: str) -> str:
    """A hint at a config that `path` may have meant; or nothing."""
    configs = known_configs()
    stems = {
        os.path.splitext(os.path.basename(config))[0]: config for config in configs
    }
    stem = os.path.splitext(os.path.basename(path))[0]
    near = difflib.get_close_matches(stem, stems, 1)
    return f"; did you mean {stems[near[0]]}?" if near else ""


def _config_path(argv: list[str]) -> str | None:
    """FILE[:variant] of `--config=FILE[:variant]` or `--config FILE[:variant]`."""
    for arg, following in zip(argv, [*argv[1:], ""], strict=True):
        if found := re.fullmatch("--?config(?:=(.*))?", arg):
            return following if found[1] is None else found[1]
    return None


def _explain(error: Exception, argv: list[str], path: str | None) -> str:
    text = " ".join(str(error.args[0] if error.args else error).split())
    if missing := re.findall(r"flag --(\w+)=None:", text):
        found = " and no ".join(f"--{name}" for name in missing)
        expected = "--config FILE[:variant] --workdir DIR"
        return f"command line: found no {found}, expected {expected}"
    if missing := re.findall(r"Missing value for flag (--[\w.]+)", text):
        return f"{missing[0]}: found no value, expected {missing[0]}=VALUE"
    root: BaseException = error
    while root.__context__ is not None:
        root = root.__context__
    if isinstance(root, UserError):
        return str(root)
    word = re.search(r"\w+", text)
    if word and isinstance(root, AttributeError | KeyError):
        name = word[0]
        for flag in (arg.partition("=")[0] for arg in argv):
            if name in flag.split("."):
                hint = re.search('Did you mean "(.*?)"', text)
                also = f", expected perhaps {hint[1]!r}" if hint else ""
                return f"{flag}: found no field {name!r}{also}"
    if isinstance(error, flags.Error) and "whilst parsing config file" not in text:
        if parts := re.fullmatch("flag (--.*?)=(.*?): (.*)", text):
            for symptom, expected in _EXPECTED.items():
                if symptom in parts[3]:
                    return f"{parts[1]}: found {parts[2]!r}, expected {expected}"
        return text
    return f"{path}: {type(root).__name__}: {root}"


def _fail(message: str) -> NoReturn:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(1)
