"""Training: the state of a run, and one recipe for each kind of GAN."""
