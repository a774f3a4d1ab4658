"""What surrounds the mathematics: configs, training runs, sweeps, reports, priors."""
