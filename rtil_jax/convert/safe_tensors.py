"""Reads the arrays in a `.safetensors` file without the library.

The first eight bytes are the length of the header. The header is JSON, with a dtype, a
shape and the place of the bytes for each name. (The library's NumPy reader does not
know bfloat16.)
"""

import io
import json
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

_LONGEST = 100_000_000  # bytes of a header
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "C64": "complex64",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def is_safe_tensors(start: bytes) -> bool:
    """Tells whether a file begins like one: with an allowed length, then JSON."""
    length = int.from_bytes(start[:8], "little")
    return length <= _LONGEST and start[8:9] == b"{"


def read_safe_tensors(file: io.BufferedIOBase) -> dict[str, np.ndarray]:
    """Reads arrays by name, in the order of the file.

    Raises:
        Exception: if the file is damaged, or has numbers of an unknown type.
    """
    length = int.from_bytes(file.read(8), "little")
    content = file.read()
    if not 0 < length <= len(content):
        raise ValueError(f"a header of {length} bytes, longer than the file")
    header, numbers = json.loads(content[:length]), content[length:]
    header.pop("__metadata__", None)
    return {name: _array(name, entry, numbers) for name, entry in header.items()}


def _array(name: str, entry: dict[str, Any], numbers: bytes) -> np.ndarray:
    if entry["dtype"] not in _DTYPES:
        raise ValueError(f"{entry['dtype']} numbers in {name}")
    dtype = jnp.dtype(_DTYPES[entry["dtype"]]).newbyteorder("<")
    (start, end), shape = entry["data_offsets"], tuple(entry["shape"])
    if not 0 <= start <= end <= len(numbers):
        raise ValueError(f"{name} outside the file")
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != end - start:
        raise ValueError(f"{end - start} bytes of {name}, shape {shape}")
    return np.frombuffer(numbers[start:end], dtype).reshape(shape)
