"""Inversion directories, written by hand."""

import csv

import numpy as np

COLUMNS = (
    "image,prior,method,problem,ratio,select,psnr,ssim,lpips,measurement_mse,"
    "seconds,status"
).split(",")


def row(image, prior, psnr, **changes):
    values = {
        "image": image,
        "prior": prior,
        "method": "ilo",
        "problem": "compressed_sensing",
        "ratio": 0.1,
        "select": "measurement",
        "psnr": psnr,
        "ssim": 0.5,
        "lpips": "",
        "measurement_mse": 1e-3,
        "seconds": 2.0,
        "status": "ok",
    }
    return values | changes


def write_results(workdir, rows):
    path = workdir / "results.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def write_solution(workdir, row, history):
    """What the report reads of a solution."""
    (workdir / "solutions").mkdir(exist_ok=True)
    names = ("image", "prior", "method", "problem", "ratio")
    facts = {f"fact:{name}": np.asarray(row[name]) for name in names}
    if history is not None:
        facts["fact:history"] = history
    stem = "_".join(str(row[name]) for name in (*names, "select"))
    np.savez(workdir / "solutions" / f"{stem}.npz", **facts)
