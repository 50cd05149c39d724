"""Each rule of the closed list: what it makes of every shape seen in local files, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.catalog.model import Field, FieldType
from gateway.mapping.model import Rule, RuleContext
from gateway.mapping.rules import RULES, compile_rule, compile_rules

AMOUNT = Field(name="amount", zh="金额", en="amount", type=FieldType.DECIMAL, precision=18, scale=6)


def run(values: list[str | None], rule: str, /, **parameters: object) -> tuple[list[object], list[str]]:
    """What ``rule`` makes of each value, and the code of the problem it has with it ("" for none)."""
    context = RuleContext(
        target=AMOUNT,
        columns=(pl.col("value"), pl.col("other")),
        crosswalks={"kinds": {"01": "普通", "06": "其他-备案"}},
    )
    compiled = compile_rule(Rule(name=rule, parameters=parameters), pl.col("value"), context)
    frame = pl.DataFrame({"value": pl.Series(values, dtype=pl.String), "other": ["另"] * len(values)})
    made = frame.select(compiled.value.alias("made"), pl.len().alias("n"))["made"].to_list()
    codes = [""] * len(values)
    for problem in compiled.problems:
        found = frame.select(problem.when.alias("found"))["found"]
        assert found.null_count() == 0
        codes = [problem.code if wrong else code for wrong, code in zip(found, codes, strict=True)]
    return made, codes


def made(values: list[str | None], rule: str, /, **parameters: object) -> list[object]:
    values_made, codes = run(values, rule, **parameters)
    assert set(codes) == {""}
    return values_made


def refused(value: str, rule: str, /, **parameters: object) -> str:
    values_made, codes = run([value], rule, **parameters)
    assert values_made == [None]
    return codes[0]


# ---- text ------------------------------------------------------------------------------------------


def test_trim_takes_every_blank_of_office_software() -> None:
    blanks = "\u3000\u00a0\u200b\ufeff \t\r\n\u202d"
    assert made([f"{blanks}林业局{blanks}", "林 业", blanks, "", None], "trim") == ["林业局", "林 业", None, None, None]


def test_collapse_spaces_and_line_ends() -> None:
    assert made(["  a \u3000\n b "], "collapse-spaces") == ["a b"]
    assert made(["一\r\n二\r三\n四"], "line-ends") == ["一\n二\n三\n四"]


def test_half_width() -> None:
    assert made(["Ａ１（森）　，"], "half-width") == ["A1(森) ,"]
    assert made(["Ａ１（森），"], "half-width", only="letters-digits") == ["A1（森），"]


def test_small_text_rules() -> None:
    assert made(["ma1x"], "upper") == ["MA1X"]
    assert made(["MA1-B3 N"], "remove", characters="- ") == ["MA1B3N"]
    assert made(["---"], "remove", characters="-") == [None]
    assert made(["a.b.c"], "replace", **{"from": ".", "to": "$1"}) == ["a$1b$1c"]
    assert made(["无", "/", "无锡"], "empty-as", values=["无", "/"]) == [None, None, "无锡"]
    assert made(["11", None], "filled-as", value="身份证") == ["身份证", None]


def test_split_join() -> None:
    assert made(["罚款；  警告;，没收、没收", "；罚款;", "；"], "split-join", separators="；;，", to=";") == [
        "罚款;警告;没收、没收",
        "罚款",
        None,
    ]


def test_rules_over_several_columns() -> None:
    assert made(["甲", None, ""], "first-of") == ["甲", "另", "另"]
    assert made([" 甲 ", None], "join", separator="·") == ["甲·另", "另"]


def test_constant_needs_no_column() -> None:
    compiled = compile_rule(Rule(name="constant", parameters={"value": "自然人"}), pl.lit(None), RuleContext())
    assert pl.DataFrame({"n": [1, 2]}).with_columns(compiled.value.alias("made"))["made"].to_list() == ["自然人"] * 2


# ---- codes -----------------------------------------------------------------------------------------


def test_lookup_says_what_becomes_of_an_unmapped_code() -> None:
    values: list[str | None] = ["01", " 06 ", "99", None]
    table = {"01": "普通", "06": "其他-备案"}
    assert run(values, "lookup", table=table, unmapped="reject") == (
        ["普通", "其他-备案", None, None],
        ["", "", "code-unknown", ""],
    )
    assert made(values, "lookup", table=table, unmapped="keep") == ["普通", "其他-备案", "99", None]
    assert made(values, "lookup", table=table, unmapped="value:登记") == ["普通", "其他-备案", "登记", None]
    assert made(["01"], "lookup", crosswalk="kinds", unmapped="reject") == ["普通"]


def test_lookup_of_several_codes_in_one_value() -> None:
    values: list[str | None] = ["1;2", "2; 9", ";1;", None]
    table = {"1": "警告", "2": "罚款"}
    assert run(values, "lookup", table=table, unmapped="reject", separator=";") == (
        ["警告;罚款", None, "警告", None],
        ["", "code-unknown", "", ""],
    )
    assert made(values, "lookup", table=table, unmapped="keep", separator=";") == ["警告;罚款", "罚款;9", "警告", None]


def test_lookup_by_prefix_takes_the_longest() -> None:
    table = {"9": "法人", "92": "个体", "1.": "错"}
    assert run(["92X", "91Y", "1.x", "12"], "lookup", table=table, unmapped="reject", match="prefix") == (
        ["个体", "法人", "错", None],
        ["", "", "", "code-unknown"],
    )


# ---- dates -----------------------------------------------------------------------------------------

FIRST = date(2019, 9, 1)


@pytest.mark.parametrize(
    "text",
    [
        "2019-09-01",
        "2019-9-1",
        "2019/09/01",
        "2019/9/1",
        "2019.9.1",
        "20190901",
        "2019年9月1日",
        "２０１９年０９月０１日",
        "２０１９－０９－０１",
        "　2019-09-01 ",
        "2019-09-01 23:59:59",
        "2019/9/1 8:00",
        "2019-09-01T23:00:00.123",
        "20190901235959",
        "2019-09-01T23:00:00+08:00",
        "2019-08-31T16:00:00Z",
        "2019-08-31T11:00:00-0500",
    ],
)
def test_dates_in_every_shape_seen(text: str) -> None:
    assert made([text], "date") == [FIRST]


@pytest.mark.parametrize(
    "text",
    [
        "2019-02-30",
        "2023-02-29",
        "2019-13-01",
        "2019-00-10",
        "20190230",
        "2019/09-01",
        "2019年9-1",
        "2019-09",
        "2019年9月",
        "19-09-01",
        "01/09/2019",
        "9/1/2019",
        "2019-09-01 24:00:00",
        "2019-09-01x",
        "12019-09-01",
        "1899-12-31",
        "٢٠١٩-٠٩-٠١",
        "43709",
        "1568180781000",
        "长期",
    ],
)
def test_what_would_have_to_be_guessed_is_no_date(text: str) -> None:
    assert refused(text, "date") == "date-invalid"


def test_only_listed_shapes_are_read_beside_iso() -> None:
    assert refused("2019/09/01", "date", shapes=["yyyyMMdd"]) == "date-invalid"
    assert refused("2019/09/01 08:00:00", "date", shapes=["yyyy/MM/dd"]) == "date-invalid"
    assert made(["20190901", "2019-09-01", "2019-09-01 08:00:00"], "date", shapes=["yyyyMMdd"]) == [FIRST] * 3


def test_excel_serials_of_the_1900_system() -> None:
    serials: list[str | None] = ["43709", "43709.75", "18264", "73415"]
    expected = [FIRST, FIRST, date(1950, 1, 1), date(2100, 12, 31)]
    assert made(serials, "date", shapes=["excel-serial"]) == expected
    for outside in ("1", "59", "60", "61", "18263", "73416", "20190901", "-43709"):
        assert refused(outside, "date", shapes=["excel-serial"]) == "date-invalid"


def test_epoch_milliseconds_become_the_day_in_the_time_zone() -> None:
    values: list[str | None] = ["1567267199999", "1567267200000", "1568180781000"]
    assert made(values, "date", shapes=["epoch-ms"]) == [date(2019, 8, 31), FIRST, date(2019, 9, 11)]
    for outside in ("1567267200", "4133952000001000", "9999999999999", "-62135596800000"):
        assert refused(outside, "date", shapes=["epoch-ms"]) == "date-invalid"


def test_the_expectation_names_what_a_person_can_type() -> None:
    compiled = compile_rule(
        Rule(name="date", parameters={"shapes": ["yyyyMMdd", "date-time", "excel-serial"]}), pl.col("v"), RuleContext()
    )
    assert compiled.problems[0].expected == "yyyyMMdd"


@given(st.dates(date(1900, 1, 1), date(9999, 12, 31)), st.sampled_from(["yyyy-MM-dd", "yyyy/MM/dd", "yyyy年M月d日"]))
@settings(max_examples=100, deadline=None)
def test_a_written_date_reads_back(day: date, shape: str) -> None:
    frame = pl.DataFrame({"v": [day]})
    written = compile_rule(
        Rule(name="write-date", parameters={"shape": shape}), pl.col("v"), RuleContext(type=FieldType.DATE)
    )
    text = frame.select(written.value).item()
    assert made([text], "date") == [day]


# ---- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1,234.50", "1234.5"),
        ("１，２３４．５", "1234.5"),
        ("0.2", "0.2"),
        (".2", "0.2"),
        ("00012", "12"),
        ("-3.5", "-3.5"),
        ("0.2000000000", "0.2"),
        (" 7　", "7"),
        ("123456789012.123456", "123456789012.123456"),
    ],
)
def test_decimals(text: str, amount: str) -> None:
    assert made([text], "decimal") == [Decimal(amount)]


@pytest.mark.parametrize(
    "text", ["1e3", "1E-7", "12,34", "1,2345", ",123", "5.", "+5", "￥5", "2千", "1 000", "NaN", "--1"]
)
def test_what_is_no_plain_number(text: str) -> None:
    assert refused(text, "decimal") == "decimal-invalid"


def test_decimals_are_never_rounded() -> None:
    assert refused("0.1234567", "decimal") == "decimal-too-precise"
    assert refused("0.30000000000000004", "decimal") == "decimal-too-precise"
    assert refused("0.001", "yuan-to-wanyuan") == "decimal-too-precise"
    assert refused("1" + "0" * 37, "decimal") == "decimal-out-of-range"


def test_two_thousand_yuan_are_a_fifth_of_a_wanyuan() -> None:
    assert made(["2000", "1,234.56", "0.01", "100000000"], "yuan-to-wanyuan") == [
        Decimal("0.2"),
        Decimal("0.123456"),
        Decimal("0.000001"),
        Decimal(10_000),
    ]


@given(st.decimals(-(10**12), 10**12, places=2, allow_nan=False, allow_infinity=False))
@settings(max_examples=200, deadline=None)
def test_yuan_to_wanyuan_is_exact(yuan: Decimal) -> None:
    assert made([format(yuan, "f")], "yuan-to-wanyuan") == [yuan / 10_000]


def test_yuan_to_wanyuan_with_a_small_scale_takes_whole_hundreds() -> None:
    assert made(["2500", "0", "-100.00"], "yuan-to-wanyuan", scale=2) == [Decimal("0.25"), Decimal(0), Decimal("-0.01")]
    assert refused("2550", "yuan-to-wanyuan", scale=2) == "decimal-too-precise"


def test_integers() -> None:
    assert made(["12", "-7", "００7", None], "integer") == [12, -7, 7, None]
    for text in ("1.0", "1,000", "99999999999999999999", "七"):
        assert refused(text, "integer") == "integer-invalid"


def test_write_decimal_pads_and_never_cuts() -> None:
    rule = Rule(name="write-decimal", parameters={"digits": 2})
    compiled = compile_rule(rule, pl.col("v"), RuleContext(type=FieldType.DECIMAL, target=AMOUNT))
    frame = pl.DataFrame({"v": pl.Series(["0.2", "12", "-0.05", "0.123", None]).cast(pl.Decimal(38, 6))})
    assert frame.select(compiled.value.alias("w"))["w"].to_list() == ["0.20", "12.00", "-0.05", None, None]
    assert frame.select(compiled.problems[0].when.alias("w"))["w"].to_list() == [False, False, False, True, False]
    whole = compile_rule(
        Rule(name="write-decimal", parameters={"digits": 0}),
        pl.col("v"),
        RuleContext(type=FieldType.DECIMAL, target=AMOUNT),
    )
    assert frame.select(whole.value.alias("w"))["w"].to_list() == [None, "12", None, None, None]


# ---- chains ----------------------------------------------------------------------------------------


def test_a_refused_value_is_told_once() -> None:
    rules = [
        Rule(name="lookup", parameters={"table": {"a": "2019-02-30", "b": "2019-09-01"}, "unmapped": "reject"}),
        Rule(name="date"),
    ]
    chain = compile_rules(rules, pl.col("v"), RuleContext())
    frame = pl.DataFrame({"v": ["a", "b", "c"]})
    found = [frame.select(problem.when.alias("f"))["f"].to_list() for problem in chain.problems]
    assert [problem.code for problem in chain.problems] == ["code-unknown", "date-invalid"]
    assert found == [[False, False, True], [True, False, False]]
    assert frame.select(chain.value.alias("f"))["f"].to_list() == [None, FIRST, None]


def test_rules_refuse_types_they_do_not_take() -> None:
    with pytest.raises(ValueError, match="trim does not take date"):
        compile_rule(Rule(name="trim"), pl.col("v"), RuleContext(type=FieldType.DATE))
    with pytest.raises(ValueError, match="needs a scale"):
        compile_rule(Rule(name="decimal"), pl.col("v"), RuleContext())
    with pytest.raises(KeyError):
        compile_rule(Rule(name="eval"), pl.col("v"), RuleContext())


PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "remove": {"characters": "-"},
    "replace": {"from": "a", "to": "b"},
    "empty-as": {"values": ["无"]},
    "filled-as": {"value": "x"},
    "split-join": {"separators": ";,", "to": ";"},
    "constant": {"value": "x"},
    "join": {"separator": " "},
    "lookup": {"table": {"a": "b"}, "unmapped": "reject", "separator": ";"},
    "write-date": {"shape": "yyyy/MM/dd"},
    "write-decimal": {"digits": 6},
}


@pytest.mark.parametrize("name", sorted(RULES))
@given(st.lists(st.text(max_size=12) | st.none(), min_size=1, max_size=8))
@settings(max_examples=20, deadline=None)
def test_a_rule_raises_for_no_text_and_keeps_nothing_nothing(name: str, values: list[str | None]) -> None:
    if FieldType.TEXT not in RULES[name].takes:
        return
    values_made, codes = run([*values, None], name, **PARAMETERS.get(name, {}))
    assert "" not in values_made
    if name not in {"constant", "first-of", "join"}:
        assert values_made[-1] is None
        assert codes[-1] == ""
