"""Training: the state, one recipe per GAN, and the loop."""
