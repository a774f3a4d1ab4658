"""Runs experiments: configs, training, sweeps of inversions, reports, packed priors."""
