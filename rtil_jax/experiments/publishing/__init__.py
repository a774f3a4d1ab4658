"""Packs a training directory as a prior with a model card."""
