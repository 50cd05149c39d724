"""What is hidden in public texts (公开时的遮蔽): names of natural persons and numbers that belong to somebody.

Source: 《行政处罚结果信息网上公示暂行办法》: identity documents, telephones, bank accounts and the names of natural persons other than the one
decided about are hidden. Of the person decided about the family name stays, until the owner's list says otherwise. Without look-around, a
number that touches another one is found in a second pass.
"""

from __future__ import annotations

import re
from typing import Final

import polars as pl

__all__ = ["HIDDEN", "TRADER_NAME", "has_number", "mask_name", "mask_numbers", "masked_names", "masked_numbers"]

HIDDEN: Final = "＊＊＊"
"""What stands in the place of a number."""
TRADER_NAME: Final = 4
"""A sole trader's name of so many characters or fewer is taken for a person's: a trade name says place, name and trade."""

_D: Final = "[0-9０-９]"
_GAP: Final = r"[\s\-－—·]?"  # numbers are written in groups, too
_X: Final = "[0-9０-９XxＸｘ]"
_NUMBERS: Final = (
    # 公民身份号码 and residence permits, 18 (GB 11643); bank accounts and other long numbers, 16 and more
    rf"{_D}(?:{_GAP}{_D}){{14,}}(?:{_GAP}{_X})?",
    # mobile telephones
    rf"(?:^|[^0-9０-９])(?:[+＋]?(?:86|８６)[\s\-]?)?[1１][3-9３-９](?:{_GAP}{_D}){{9}}(?:$|[^0-9０-９])",
    # telephones with their area code
    rf"(?:^|[^0-9０-９])[0０]{_D}{{2,3}}[\s\-－—]{_D}{{7,8}}(?:$|[^0-9０-９])",
    # passports and permits, where the text says that it is one: document numbers are written alike
    r"(?:护照|通行证|居住证|证件)[^0-9A-Za-z，。；]{0,12}[A-Za-z]{1,2}\d{7,10}",
)
_ANY: Final = tuple(re.compile(pattern) for pattern in _NUMBERS)
_RUN: Final = r"[+＋]?[0-9０-９A-Za-z][0-9０-９A-Za-zＸｘ\s\-－—·]*[0-9０-９A-Za-zＸｘ]"


def mask_name(name: str) -> str:
    """``王小明`` → ``王＊＊``: the first character stays, and nothing of a name of one."""
    return name[:1] + "＊" * (len(name) - 1) if len(name) > 1 else "＊"


def masked_names(name: pl.Expr) -> pl.Expr:
    """:func:`mask_name` in columns."""
    length = name.str.len_chars()
    stars = pl.lit("＊").repeat_by(pl.max_horizontal(length.cast(pl.Int64) - 1, pl.lit(0))).list.join("")
    return pl.when(length > 1).then(pl.concat_str(name.str.head(1), stars)).when(length == 1).then(pl.lit("＊"))


def mask_numbers(text: str) -> str:
    """``text`` with every number hidden that may be a person's."""
    for pattern in _ANY:
        for _ in range(2):
            text = pattern.sub(lambda found: re.sub(_RUN, HIDDEN, found[0]), text)
    return text


def masked_numbers(text: pl.Expr) -> pl.Expr:
    """:func:`mask_numbers` in columns; texts without digits in a row are not touched."""
    suspicious = text.str.contains(rf"{_D}(?:{_GAP}{_D}){{6}}")
    return pl.when(suspicious).then(text.map_elements(mask_numbers, return_dtype=pl.String)).otherwise(text)


def has_number(text: str) -> bool:
    """Whether ``text`` holds a number that may be a person's."""
    return mask_numbers(text) != text
