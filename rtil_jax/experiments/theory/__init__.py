"""The experiment of Section 5: closed forms beside training and inversion."""
