"""Where the files of a schema are found: by the path that another file says, or by their name in the format's folder.

Schemas of others name each other by relative paths, by the addresses at which they were published, or by paths of the machine that they
were written on. The attributes of XML itself (``xml:lang``), which many schemas import from w3.org, are at hand.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

__all__ = ["XML_NAMESPACE", "XML_SCHEMA", "located"]

XML_NAMESPACE: Final = "http://www.w3.org/XML/1998/namespace"
XML_SCHEMA: Final = Path(str(resources.files("gateway.mapping") / "schemas" / "xml.xsd"))
"""The schema of that namespace."""


def located(location: str, beside: str, texts: Mapping[str, bytes]) -> str | None:
    """The file of ``texts`` (paths below the folder) that ``location`` means where the file ``beside`` names it; None: there is none."""
    split = urlsplit(location)
    path = unquote(split.path)
    if not split.scheme and not split.netloc and not path.startswith("/"):
        near = posixpath.normpath(posixpath.join(posixpath.dirname(beside), path))
        if near in texts:
            return near
    name = posixpath.basename(path)
    found = [file for file in texts if posixpath.basename(file) == name]
    return found[0] if len(found) == 1 else None
