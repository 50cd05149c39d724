"""How format.toml says what a receiver answers and what its files are called; formats of sheets, of JSON and of whole XML say it alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from gateway.catalog.reading import LOOSE, Shape, Words
from gateway.mapping.sheet_model import MOMENTS, FeedbackType, SheetFeedback

__all__ = ["FeedbackText", "name_findings"]

_MARK: Final = re.compile(r"\{([^{}]*)\}")
_NO_NAME: Final = re.compile(r'[\\/:*?"<>|\x00-\x1f]')


class FeedbackText(Shape):
    """The table ``[feedback]``."""

    file: Words
    type: Annotated[FeedbackType, LOOSE]
    row: Words
    result: Words
    code: Words
    message: Words
    accepted: list[Words]
    unlisted_accepted: bool = False

    def well_named(self) -> bool:
        """Whether the file's name holds ours once and can be a name."""
        return self.file.count("{file}") == 1 and _NO_NAME.search(self.file) is None

    def feedback(self) -> SheetFeedback:
        """What it says."""
        return SheetFeedback(**(self.model_dump() | {"accepted": tuple(self.accepted)}))


def name_findings(name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The code and facts of everything wrong with the name of a file as a format writes it."""
    for mark in _MARK.findall(name):
        if mark not in MOMENTS:
            yield "sheet-file-mark", {"mark": mark, "known": "、".join(MOMENTS)}
    if _NO_NAME.search(_MARK.sub("", name)):
        yield "sheet-file-name", {"name": name}
