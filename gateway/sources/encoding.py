"""The encoding of a text file: UTF-8 or GB 18030, told by the lines that are not plain ASCII, and decoded line by line.

Python's ``gb18030`` codec is the edition of 2000. GB 18030-2005 and -2022 moved 19 characters from the private use area to their places
in Unicode and dropped six private ones that ideographs of extension B stand for; a file written to any edition is read to the
newest. Other private use characters are kept as they are: who checks the record sees them.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from enum import StrEnum

__all__ = ["ESCAPED", "Encoding", "decode", "recognise"]

LINES_LOOKED_AT = 2_000
# UTF-16 and UTF-32 open with these, or have zero bytes; a ZIP archive (a workbook under a wrong name) opens with PK.
FOREIGN = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE, b"PK\x03\x04")

# What the codec of 2000 gives → what the character is. A8BC: moved by the 2005 edition; A6D9…A6F3 (vertical punctuation) and FE59…FEA0: by
# the 2022 edition, as the Unicode Consortium recommends (L2/23-003R) and the WHATWG Encoding Standard follows; FE51…FE91: the six.
MOVED = {
    "\ue7c7": "\u1e3f",
    **dict(zip("\ue78d\ue78e\ue78f\ue790\ue791", "\ufe10\ufe12\ufe11\ufe13\ufe14", strict=True)),
    **dict(zip("\ue792\ue793\ue794\ue795\ue796", "\ufe15\ufe16\ufe17\ufe18\ufe19", strict=True)),
    **dict(zip("\ue81e\ue826\ue82b\ue82c", "\u9fb4\u9fb5\u9fb6\u9fb7", strict=True)),
    **dict(zip("\ue832\ue843\ue854\ue864", "\u9fb8\u9fb9\u9fba\u9fbb", strict=True)),
    **dict(zip("\ue816\ue817\ue818", "\U00020087\U00020089\U000200cc", strict=True)),
    **dict(zip("\ue831\ue83b\ue855", "\U000215d7\U0002298f\U000241fe", strict=True)),
}
MOVE = str.maketrans(MOVED)
PRIVATE = re.compile("[\ue000-\uf8ff]")

# A byte that could not be decoded stands in the text as one of these (PEP 383), which no file can hold otherwise.
ESCAPED = re.compile("[\udc80-\udcff]")


class Encoding(StrEnum):
    """The encodings that files come in. GBK and GB 2312 are parts of GB 18030."""

    UTF_8 = "utf-8"
    GB18030 = "gb18030"


def recognise(lines: Iterable[bytes]) -> Encoding | None:
    """The encoding that most lines are well formed in; None when they are so in neither.

    Chinese text in GB 18030 is hardly ever well-formed UTF-8, while text in UTF-8 is often well-formed GB 18030: so UTF-8 comes first, and
    a majority decides, since one damaged line must not turn the whole file into another encoding.
    """
    seen = 0
    fits = dict.fromkeys(Encoding, 0)
    for number, line in enumerate(lines):
        if number == 0 and (line.startswith(FOREIGN) or b"\0" in line):
            return None
        if line.isascii():
            continue
        seen += 1
        for encoding in Encoding:
            fits[encoding] += _fits(line, encoding)
        if seen == LINES_LOOKED_AT:
            break
    return next((encoding for encoding in Encoding if fits[encoding] * 2 >= seen), None)


def _fits(line: bytes, encoding: Encoding) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def decode(line: bytes, encoding: Encoding) -> tuple[str, bool]:
    """The line as text, and whether all of it could be decoded; bytes that could not are there as ``ESCAPED`` characters.

    A line is cut from the file at its line feed, a byte that is part of no other character in either encoding.
    """
    try:
        text, whole = line.decode(encoding), True
    except UnicodeDecodeError:
        text, whole = line.decode(encoding, "surrogateescape"), False
    if encoding is Encoding.GB18030 and PRIVATE.search(text):
        text = text.translate(MOVE)
    return text, whole
