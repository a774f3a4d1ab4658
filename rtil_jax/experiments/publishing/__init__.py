"""From a training directory to a packed prior with its card."""
