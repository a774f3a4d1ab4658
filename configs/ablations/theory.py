"""Section 5: recovery errors of the linear model, vanilla and RTIL, and the bound (8).

Variants: `tiny` (seconds: fewer draws and fewer numbers of measurements).

    python -m rtil_jax.theory --config configs/ablations/theory.py --workdir runs/theory

TODO measured
"""

from ml_collections import ConfigDict

from rtil_jax.config import parse_variants


def get_config(variant=None):
    variants = parse_variants(variant, ("tiny",))
    config = ConfigDict()
    config.seed = 0
    # n_0 < n_1 < n_d; images are square, so n_d = resolution^2.
    config.latent_dim = 4
    config.num_features = 16
    config.resolution = 8
    # Numbers m of measurements, at least n_0 and below n_d. Lemma 5.2 is about
    # m >= n_1; the smaller ones show that it is about nothing else.
    config.measurements = (6, 8, 10, 12, 14, 15, 16, 18, 20, 24, 32, 40, 48, 56, 63)
    # Draws of A for each m, and of signals for each A.
    config.operators = 200
    config.signals = 200

    config.learned = learned = ConfigDict()
    # The same by gradient descent: m, at least n_1, and signals with an A each.
    learned.measurements = (20, 24, 32, 48, 63)
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
