"""Section 5: recovery errors of the linear model, vanilla and RTIL, and the bound (8).

Variants: `tiny` (seconds: fewer draws and fewer numbers of measurements).

    python -m rtil_jax theory --config configs/ablations/theory.py --workdir runs/theory

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

from ml_collections import ConfigDict

from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("tiny",))
    config = ConfigDict()
    # Of the generators, the operators and the signals.
    config.seed = 0
    # n_0 < n_1 < n_d.
    config.latent_dim = 4
    # n_1, of the features between the two layers.
    config.num_features = 16
    # Images are square: n_d = resolution^2.
    config.resolution = 8
    # Numbers m of measurements, at least n_0 and below n_d. Lemma 5.2 is about
    # m >= n_1; the smaller ones show that it is about nothing else.
    config.measurements = (6, 8, 10, 12, 14, 15, 16, 18, 20, 24, 32, 40, 48, 56, 63)
    # Draws of A for each m.
    config.operators = 200
    # Draws of signals for each A.
    config.signals = 200

    config.learned = learned = ConfigDict()
    # The same by gradient descent: m, at least n_1.
    learned.measurements = (20, 24, 32, 48, 63)
    # Signals, with an A each.
    learned.signals = 64
    # Of the training, see rtil_jax.theory.learning.train.
    learned.training = {"steps": 1_000, "batch": 256, "learning_rate": 0.02}
    # Of each of ILO's two stages.
    learned.inversion = {"steps": 2_000, "learning_rate": 0.2}
    if "tiny" in variants:
        config.measurements = (8, 12, 16, 24, 48)
        config.operators = config.signals = 20
        learned.measurements = (24, 48)
        learned.signals = 16
        learned.training.steps = 300
        learned.inversion.steps = 300
    return config
