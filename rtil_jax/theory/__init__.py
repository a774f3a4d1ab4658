"""The linear theory of Section 5, in closed form and by gradient descent.

    rtil theory --config configs/ablations/theory.py --workdir runs/theory

`closed_forms` has the paper's mathematics in float64. `learning` trains and inverts the
same model with the library.
"""
