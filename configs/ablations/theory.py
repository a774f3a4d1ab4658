"""Section 5: recovery errors of the linear model, vanilla and RTIL, and the bound (8).

Variants: `tiny` (seconds: fewer draws and fewer numbers of measurements).

    rtil theory --config configs/ablations/theory.py --workdir runs/theory

Measured, mean of ||x - x^||^2 and its standard error, where E ||x||^2 = 122, the bound
(8) is 6.7 and the sharper one in its proof 43.1; 22 s of CPU time (`tiny` 8 s), twice
as long or more on busy cores:

                    closed form                   trained and inverted by the library
      m         vanilla          RTIL           vanilla           RTIL
      8       98.8 +- 3.1    103.2 +- 3.1
     15       60.5 +- 0.5      8.5 +- 0.2       (m < n_1: outside the lemma)
     16       58.8 +- 0.4          5e-25
     20       54.3 +- 0.3          6e-28      55.3 +- 3.0          7e-7
     24       51.9 +- 0.2          4e-28      53.9 +- 3.5          2e-11
     32       49.3 +- 0.2          4e-28      54.8 +- 3.0          1e-11
     63       46.1 +- 0.1          3e-28      46.2 +- 2.7          6e-12

The sampling of 64 signals is all that separates the two vanilla columns: signal by
signal they agree to 5 % at m = 40 (tests/theory/test_learning.py). The minimum norm
that the paper assumes is vanilla's good case: were W_1 random off the range of W*_0,
as an untrained layer is, its error at m = 20 would be 233 instead of 55.
"""

from rtil_jax.config import parse_variants
from rtil_jax.experiments.parsing import default_config
from rtil_jax.experiments.theory.theory_config import TheoryRun


def get_config(variant=None):
    variants = parse_variants(variant, ("tiny",))
    config = default_config(TheoryRun())
    if "tiny" in variants:
        config.measurements = (8, 12, 16, 24, 48)
        config.operators = config.signals = 20
        config.learned.measurements = (24, 48)
        config.learned.signals = 16
        config.learned.training.steps = 300
        config.learned.inversion.steps = 300
    return config
