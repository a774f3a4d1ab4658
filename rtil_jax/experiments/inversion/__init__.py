"""Sweeps of inversions: their configs, shards, results and files."""
