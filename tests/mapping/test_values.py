"""Working out each value once gives what working out each row gives."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.mapping.values import ValueWork, work_out

WORKS = [
    ValueWork(
        name="upper",
        inputs=("a",),
        stages=(
            (pl.col("a").str.to_uppercase().alias("upper"), (pl.col("a") == "x").fill_null(value=False).alias("!x")),
            ((pl.col("upper") == "nowhere").fill_null(value=False).alias("!never"),),
        ),
        flags=("!x", "!never"),
    ),
    ValueWork(name="both", inputs=("a", "n"), stages=((pl.format("{}{}", "a", "n").alias("both"),),), flags=()),
    ValueWork(name="n", inputs=("n",), stages=((pl.col("n") + 1,),), flags=()),
]


@given(st.lists(st.sampled_from(["x", "y", "", None]) | st.text(max_size=3), min_size=0, max_size=30))
@settings(max_examples=100, deadline=None)
def test_once_for_each_value(values: list[str | None]) -> None:
    frame = pl.DataFrame({"a": pl.Series(values, dtype=pl.String), "n": range(len(values))})
    made, raised = work_out(frame, WORKS)
    assert made.height == frame.height
    assert raised == ({"!x"} if "x" in values else set())
    assert set(made.columns) == {"upper", "both", "n", *raised}
    assert made["upper"].to_list() == [None if value is None else value.upper() for value in values]
    assert made["n"].to_list() == [number + 1 for number in range(len(values))]
    assert made["both"].to_list() == [None if v is None else f"{v}{n}" for n, v in enumerate(values)]
    if raised:
        assert made["!x"].to_list() == [value == "x" for value in values]
