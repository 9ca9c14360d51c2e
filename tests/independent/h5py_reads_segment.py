#!/usr/bin/env python3
"""h5py reads what write_segment wrote, through the filter plugin alone.

usage: h5py_reads_segment.py WRITE_SEGMENT PLUGIN_FOLDER
"""
import os
import subprocess
import sys
import tempfile

os.environ["HDF5_PLUGIN_PATH"] = sys.argv[2]  # before h5py loads the library
import h5py
import numpy as np


def check(file, path, shape, dtype, formula):
    data = file[path]
    expected = formula(np.arange(int(np.prod(shape, dtype=np.int64)))).astype(dtype).reshape(shape)
    assert data.shape == shape and data.dtype == dtype, (path, data.shape, data.dtype)
    assert np.array_equal(data[()], expected), path


def check_digest(path):
    """The user block states the BLAKE3 of all that follows it."""
    with open(path, "rb") as file:
        block, rest = file.read(512), file.read()
    assert block[:17] == b"aftune-segment/1\n" and block[81:] == b"\n" + bytes(430)
    try:
        from blake3 import blake3
    except ImportError:
        return print("the blake3 package is not here: digest not checked")
    assert blake3(rest).hexdigest() == block[17:81].decode()


with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "s.h5")
    subprocess.run([sys.argv[1], path], check=True)
    with h5py.File(path, "r") as file:
        square = lambda i: i * i % 1000
        half = lambda i: i * 0.5
        check(file, "/steps/12/tokens", (7,), "<i4", square)
        check(file, "/steps/12/labels", (300_000,), "<i4", square)
        check(file, "/state/raw", (30, 20), "<f4", half)
        check(file, "/state/packed", (3, 200_000), "<f4", half)
        check(file, "/state/scalar", (), "<f4", half)
        check(file, "/state/brain", (5, 3), "<u2", lambda i: i)
        assert file["/state/brain"].attrs["dtype"] in ("BF16", b"BF16")
        assert file["/state/packed"].chunks == (1, 131072) and file["/state/raw"].chunks is None
    check_digest(path)
