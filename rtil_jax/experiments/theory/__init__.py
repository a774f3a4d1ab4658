"""The experiment of Section 5: compares closed forms with training and inversion."""
