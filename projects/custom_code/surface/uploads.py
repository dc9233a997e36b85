"""Files that components read: which kinds there are, and a text file as a record."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

from projects.custom_code.surface import calls
from projects.custom_code.surface.records import Data

TEXT_FILE_TYPES = [
    "csv",
    "json",
    "pdf",
    "txt",
    "md",
    "mdx",
    "yaml",
    "yml",
    "xml",
    "html",
    "htm",
    "docx",
    "py",
    "sh",
    "sql",
    "js",
    "ts",
    "tsx",
]
IMG_FILE_TYPES = ["jpg", "jpeg", "png", "bmp", "image"]
_NOT_TEXT = (".pdf", ".docx")


def parse_text_file_to_data(file_path: Any, *, silent_errors: bool = False) -> Data | None:
    """{"file_path", "text"} of an upload or of a file in the run's folder; JSON is checked and indented.

    ValueError for a file that cannot be read, or None with `silent_errors`.
    """
    try:
        text = read_text_file(file_path)
        if str(file_path).endswith(".json"):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (OSError, ValueError) as error:
        if silent_errors:
            return None
        raise ValueError(f"Error loading file {file_path}: {error}") from error
    return Data(data={"file_path": str(file_path), "text": text})


def read_text_file(file_path: Any) -> str:
    """The file's text. FileNotFoundError, or ValueError for what is no text."""
    path = str(file_path)
    if path.lower().endswith(_NOT_TEXT):
        raise ValueError("its text is inside of a document; connect Read File, which reads such files.")
    if posixpath.isabs(path) or Path(path).exists():
        content = Path(path).read_bytes()
    else:
        run = calls.current()
        content = run.wait(run.host.read_file(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is no text in UTF-8.") from None
