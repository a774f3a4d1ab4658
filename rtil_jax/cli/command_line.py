"""Runs a command: handles exit codes, and prints one clear line for each user error.

A command is a module of `rtil_jax.cli` with a docstring, `add_arguments(parser)` and
`run(arguments)`.
"""

import atexit
import logging
import os
import shlex
import sys
from types import ModuleType
from typing import NoReturn

import jax
from tqdm import tqdm

from rtil_jax.caches import COMPILED, bound, prune_compiled
from rtil_jax.checkpoints.orbax import silence_orbax
from rtil_jax.cli.command_help import (
    asks_for_help,
    is_help,
    print_configs,
    print_fields,
    print_usage,
)
from rtil_jax.cli.flags import Parser, parse_arguments, parser_of
from rtil_jax.errors import UserError
from rtil_jax.experiments.compiling import leave
from rtil_jax.experiments.stopping import INTERRUPTED, interruptible


def run_command(command: ModuleType, words: list[str], called: list[str]) -> None:
    """Runs a command, and ends the process.

    A bad flag, config or input prints `error: ...` on stderr, with exit code 1. Other
    libraries are silenced; warnings of this package are shown. Programs that a command
    with a config compiles are kept in the user's cache directory (or in
    $JAX_COMPILATION_CACHE_DIR), so that a second run with the same shapes starts at
    once.

    Args:
        command: the module of the command.
        words: the words of the command line after the command.
        called: the words before them, such as `python train.py`, for the record.
    """
    try:
        parser = parser_of(command)
        if asks_for_help(words):
            return print_help(command, parser, words)
        if parser.open_config is not None:
            keep_compiled()
        arguments = parse_arguments(parser, words)
    except UserError as error:
        sys.exit(_one_line(error))
    except BrokenPipeError:  # as in `--help | head`
        _end_quietly()
    arguments.command_line = shlex.join([*called, *words])
    show_own_warnings_only()
    code = 0
    with interruptible():
        try:
            command.run(arguments)
            sys.stdout.flush()
        except UserError as error:
            sys.exit(_one_line(error))
        except BrokenPipeError:  # as in `rtil configs | head`
            _end_quietly()
        except KeyboardInterrupt:
            continues = parser.open_config is not None
            also = "; the same command continues" if continues else ""
            print(f"interrupted{also}", file=sys.stderr)
            code = INTERRUPTED
    leave(code)


def print_help(command: ModuleType, parser: Parser, words: list[str]) -> None:
    """Prints what a command does and its flags; with `--config`, also its fields.

    Args:
        command: the module of the command.
        parser: with the flags of the command.
        words: the words of the command line after the command.
    """
    print_usage(command, parser.flags)
    if parser.open_config is None:
        return
    words = [word for word in words if not is_help(word)]
    found = parse_arguments(parser, words, check_needed=False)
    if found.config is None:
        return print_configs(command.__name__.rpartition(".")[2].replace("_", "-"))
    print_fields(found.config, found.config_file)


def _end_quietly() -> NoReturn:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def _one_line(error: UserError) -> str:
    return f"error: {' '.join(str(error).split())}"


def keep_compiled() -> None:
    """Turns on JAX's persistent compilation cache, unless its variables say otherwise.

    Beyond $RTIL_JAX_COMPILED_GIB, the least recently used programs are removed. The
    cache also keeps small programs (those that compile in less than a second), which
    JAX by default does not keep: together they took a quarter of the time to the first
    step.
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
    """Writes `warning: ...` lines on stderr, above any progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.levelname.lower()}: {record.getMessage()}"
        tqdm.write(text, file=sys.stderr)


def show_own_warnings_only() -> None:
    """Shows only errors of other libraries, and warnings of the logger `rtil_jax`.

    Orbax alone would write hundreds of lines.
    """
    for name in (None, "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    silence_orbax()
    logger = logging.getLogger("rtil_jax")
    logger.setLevel(logging.WARNING)
    logger.handlers = [_Messages()]
    logger.propagate = False
