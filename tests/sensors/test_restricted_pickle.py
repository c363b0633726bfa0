"""What a pickle from outside may do: hold a table. Everything else is refused without being run."""

from __future__ import annotations

import contextlib
import gzip
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drive_vqa.errors import LogFormatError
from sensors.readers.restricted_pickle import NAMES, read_frame
from tests.sensors.pandaset_files import (
    array,
    called,
    cuboids,
    dtype,
    mapping,
    name,
    plain,
    table,
    with_state,
    write_gz,
)

COLUMNS = cuboids([{"uuid": "a", "yaw": 0.25}, {"uuid": "b", "attributes.object_motion": float("nan")}])


def test_a_table_reads_as_pandas_reads_it(tmp_path: Path) -> None:
    path = write_gz(tmp_path / "table.pkl.gz", table(COLUMNS))
    expected, columns = pd.read_pickle(path), read_frame(path)
    assert list(columns) == list(expected.columns) == list(COLUMNS)
    for key, values in columns.items():
        pd.testing.assert_series_equal(pd.Series(values, name=key), expected[key], check_dtype=False)


def test_the_names_are_the_nine_that_the_data_needs() -> None:
    assert set(NAMES) == {
        "builtins.slice",
        "numpy.core.multiarray._reconstruct",
        "numpy.dtype",
        "numpy.ndarray",
        "pandas.core.frame.DataFrame",
        "pandas.core.indexes.base.Index",
        "pandas.core.indexes.base._new_Index",
        "pandas.core.indexes.range.RangeIndex",
        "pandas.core.internals.managers.BlockManager",
    }


class Runs:
    """Pickles as the call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (os.system, "system"),
        (eval, "builtins?.*eval"),
        (exec, "exec"),
        (getattr, "getattr"),
        (__import__, "__import__"),
        (subprocess.Popen, "Popen"),
        (np.load, "load"),
        (np.fromfile, "fromfile"),
        (pd.read_pickle, "read_pickle"),
        (pd.eval, "eval"),
    ],
)
def test_a_call_is_refused_and_not_made(tmp_path: Path, function: Any, shown: str, protocol: int) -> None:
    witness = tmp_path / "witness"
    hostile = Runs(function, f"touch {witness}" if function is os.system else f"open({str(witness)!r}, 'w')")
    path = write_gz(tmp_path / "00.pkl.gz", pickle.dumps(hostile, protocol))
    with pytest.raises(LogFormatError, match=rf"00.pkl.gz .*names .*{shown}.*forbidden"):
        read_frame(path)
    assert not witness.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x14dtype.__class__.mro\x94\x93.",
        b"cnumpy\ntestingstr\n.",
        b"\x82\x01.",  # a number of copyreg's registry
        b"Pname\n.",  # a persistent name
    ],
)
def test_side_doors_are_shut(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LogFormatError, match="00.pkl.gz"):
        read_frame(write_gz(tmp_path / "00.pkl.gz", content))


def test_allowed_names_run_nothing_of_numpy_or_pandas(tmp_path: Path) -> None:
    """Attributes set on an allowed name must not reach the real class, and a wild element type must not reach numpy."""
    poison = name("pandas.core.indexes.base", "Index") + b"(N" + mapping(poisoned=plain(1)) + b"tb0"
    path = write_gz(tmp_path / "00.pkl.gz", b"\x80\x03" + poison + table(COLUMNS)[2:])
    with pytest.raises(LogFormatError):
        read_frame(path)
    assert not hasattr(pd.Index, "poisoned")
    objects_as_bytes = with_state(
        called(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), plain((0,)), plain(b"b")),
        *(plain(1), plain((1, 2)), dtype("O8"), plain(False), plain(b"\x41" * 16)),
    )
    whole = {"a": np.zeros(2), "b": np.zeros(2)}
    with pytest.raises(LogFormatError, match="00.pkl.gz"):
        read_frame(write_gz(path, table(whole, values=objects_as_bytes)))


@pytest.mark.parametrize(
    "values",
    [
        array(np.zeros((2, 2)), code="V8"),
        array(np.zeros((2, 2)), code="f2"),
        array(np.zeros((2, 2)), shape=(10**9, 10**9)),
        array(np.zeros((2, 2)), shape=(-2, -2)),
        array(np.zeros((2, 2)), shape=(2, 3)),
        array(np.zeros((2, 2)), data=plain("text")),
        array(np.zeros((2, 2)), data=plain(b"short")),
        array(np.zeros((3, 2))),
        plain([[1, 2], [3, 4]]),
        plain(None),
    ],
)
def test_a_senseless_block_is_refused(tmp_path: Path, values: bytes) -> None:
    content = table({"a": np.zeros(2), "b": np.zeros(2)}, values=values)
    with pytest.raises(LogFormatError, match="00.pkl.gz"):
        read_frame(write_gz(tmp_path / "00.pkl.gz", content))


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x03N.", plain([1]) + b".", plain({"_data": 1}) + b".", b"\x80\x03r\xff\xff\xff\xff."]
)
def test_what_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(LogFormatError, match="00.pkl.gz"):
        read_frame(write_gz(tmp_path / "00.pkl.gz", content))


def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = write_gz(tmp_path / "00.pkl.gz", b"\0" * 40_000_000)
    assert path.stat().st_size < 50_000
    with pytest.raises(LogFormatError, match="more than 1000000 bytes"):
        read_frame(path, max_bytes=1_000_000)


def test_truncated_plain_and_missing_files(tmp_path: Path) -> None:
    path = write_gz(tmp_path / "00.pkl.gz", table(COLUMNS))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(LogFormatError, match="truncated"):
        read_frame(path)
    path.write_bytes(b"not gzip at all")
    with pytest.raises(LogFormatError, match="not gzip"):
        read_frame(path)
    with pytest.raises(LogFormatError, match="gone.pkl.gz is missing"):
        read_frame(tmp_path / "gone.pkl.gz")


@settings(deadline=None, max_examples=150)
@given(cut=st.integers(0, 2000), noise=st.binary(max_size=6), at=st.integers(0, 2000))
def test_damage_is_an_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes, at: int
) -> None:
    content = table(COLUMNS)
    content = content[:at] + noise + content[at + len(noise) : len(content) - cut]
    path = tmp_path_factory.getbasetemp() / "fuzzed.pkl.gz"
    path.write_bytes(gzip.compress(content))
    with contextlib.suppress(LogFormatError):  # anything else that is raised fails the test
        assert len({len(values) for values in read_frame(path).values()}) == 1
