"""Training runs: their configs, loop, directory and metrics."""
