"""The linear theory of Section 5: closed forms, and the same by gradient descent.

    rtil theory --config configs/ablations/theory.py --workdir runs/theory

`closed_forms` is the paper's mathematics in float64, `learning` trains and inverts the
same model with the library, `experiment` runs both and draws them.
"""
