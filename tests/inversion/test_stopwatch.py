"""Compiling is not part of how long an inversion takes."""

import threading
import time

import jax
import jax.numpy as jnp
import pytest

from rtil_jax.experiments.inversion.stopwatch import Stopwatch, covered


@pytest.mark.parametrize(
    "spans, length",
    [
        ([], 0),
        ([(1.0, 3.0), (5.0, 6.0)], 3),
        ([(1.0, 5.0), (2.0, 3.0), (3.0, 4.0)], 4),  # traced within what is traced
        ([(4.0, 7.0), (1.0, 5.0)], 6),  # two threads
        ([(1.0, 2.0), (1.0, 2.0)], 1),
    ],
)
def test_what_spans_cover_is_counted_once(spans, length):
    assert covered(spans) == length


def slow_to_trace(x):
    time.sleep(1)
    return jax.jit(lambda y: 2 * y)(x)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_compiling_is_not_counted_in_whatever_thread(elsewhere):
    function, x = jax.jit(lambda x: slow_to_trace(x)), jnp.ones(3)
    with Stopwatch() as watch:
        if elsewhere:
            thread = threading.Thread(target=function, args=(x,))
            thread.start()
            thread.join()
        else:
            function(x)
        time.sleep(0.05)
    assert 0.05 <= watch.seconds < 1
    with Stopwatch() as again:
        function(x)
        time.sleep(0.05)
    assert 0.05 <= again.seconds < 1


def test_what_was_compiled_before_is_nothing_to_it():
    started = time.perf_counter()
    with Stopwatch() as watch:
        watch.heard(time.time() - 100, time.time() - 50)
        time.sleep(0.05)
    assert 0.05 <= watch.seconds <= time.perf_counter() - started
