"""RTIL: regularised training of intermediate layers for inverse problems, in JAX."""

__version__ = "0.1.0"
