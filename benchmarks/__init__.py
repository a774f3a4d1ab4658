"""Speed, measured against PyTorch and against itself; see `docs/performance.md`."""

import os

# Threads of PyTorch that wait must not take a core from whoever is timed next, nor
# count as work. It is read when PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
