"""How format.toml says what a receiver answers and what its files are called; formats of sheets, of JSON and of whole XML say it alike."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from gateway.catalog.reading import LOOSE, Shape, Words
from gateway.mapping.file_shape import MARKS, FeedbackType, FileFeedback

__all__ = ["FeedbackText", "files_findings", "name_findings"]

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

    def feedback(self) -> FileFeedback:
        """What it says."""
        return FileFeedback(**(self.model_dump() | {"accepted": tuple(self.accepted)}))


def files_findings(withdrawn: str | None, told: FeedbackText | None) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """The code, key and facts of everything wrong with ``withdrawn`` and ``[feedback]`` in format.toml."""
    for code, facts in name_findings(withdrawn) if withdrawn is not None else ():
        yield code, "withdrawn", facts
    # Its name holds ours once, and can be a name.
    if told is not None and (told.file.count("{file}") != 1 or _NO_NAME.search(told.file)):
        yield "sheet-file-name", "feedback.file", {"name": told.file}


def name_findings(name: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The code and facts of everything wrong with the name of a file as a format writes it."""
    for mark in _MARK.findall(name):
        if mark not in MARKS:
            yield "sheet-file-mark", {"mark": mark, "known": "、".join(MARKS)}
    if _NO_NAME.search(_MARK.sub("", name)):
        yield "sheet-file-name", {"name": name}
