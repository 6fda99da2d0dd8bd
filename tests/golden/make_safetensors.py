#!/usr/bin/env python3
"""Writes python.safetensors with the reference implementation (pip install safetensors numpy);
tests/train/test_safetensors.c reads it.  With a file as argument, checks instead that the
reference implementation reads what voxcl wrote there."""
import pathlib
import sys

import numpy as np
from safetensors.numpy import load_file, save_file
from safetensors import safe_open

here = pathlib.Path(__file__).parent

tensors = {
    "conv1.weight": (np.arange(24, dtype=np.float32).reshape(2, 1, 3, 2, 2) - 7.5) / 3,
    "conv1.bias": np.array([0.25, -1e-38], dtype=np.float32),
    "count": np.array([3, -(2**40)], dtype=np.int64),
    "half": np.array([1.5, -2.0], dtype=np.float16),
    "scalar": np.array(6.5, dtype=np.float32),
    "empty": np.zeros((0, 4), dtype=np.float32),
}
meta = {"note": 'line one\nline "two" \\ \u00e9', "step": "12"}

if len(sys.argv) == 1:
    save_file(tensors, str(here / "python.safetensors"), metadata=meta)
else:
    found = load_file(sys.argv[1])
    with safe_open(sys.argv[1], framework="numpy") as f:
        print(f.metadata())
    for name, value in found.items():
        print(name, value.dtype, value.shape, value.ravel()[:4])
