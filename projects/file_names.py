"""Names of files: made clean for every file system, numbered when they are taken, and the media type that an ending stands for."""

import unicodedata
from collections.abc import Collection

from projects.free_names import free_name

MAX_NAME_BYTES = 255

# A fixed table: the machine's own one differs from machine to machine, and decides what a browser does with a download.
_MEDIA_TYPES = {
    "json": "application/json",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "pdf": "application/pdf",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "zip": "application/zip",
    "tar": "application/x-tar",
    "gz": "application/gzip",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "xml": "application/xml",
    "yaml": "application/x-yaml",
    "yml": "application/x-yaml",
}
_DEVICE_NAMES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}


def free_file_name(name: str, taken: Collection[str]) -> str:
    """`name`, or `stem (n).ending`."""
    if name not in taken:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem:
        stem, ending = name, ""
    suffix = f".{ending}" if dot and ending else ""
    room = MAX_NAME_BYTES - len(suffix.encode()) - 12
    stem = stem.encode()[:room].decode(errors="ignore")
    stems = {other.removesuffix(suffix) for other in taken if other.endswith(suffix)}
    return free_name(stem, stems | {stem}) + suffix


def clean_name(name: str) -> str:
    """The name without folders, controls and direction marks, short enough for any file system; never empty."""
    last = name.replace("\\", "/").rpartition("/")[2]
    # Category C: controls, formats (direction overrides, zero width), surrogates, unassigned. Windows forbids the rest of the list.
    shown = "".join(character for character in last if unicodedata.category(character)[0] != "C" and character not in '<>:"|?*')
    shown = " ".join(shown.split()).rstrip(". ")
    stem, dot, extension = shown.rpartition(".")
    if not dot:
        stem, extension = shown, ""
    if stem.partition(".")[0].strip().lower() in _DEVICE_NAMES:
        stem = f"_{stem}"
    ending = f".{extension}" if dot else ""
    if len(ending.encode()) > 32:
        stem, ending = stem + ending, ""
    stem = stem.encode()[: MAX_NAME_BYTES - len(ending.encode())].decode(errors="ignore")
    return (stem + ending).strip(" ") if (stem + ending).strip(". ") else "file"


def media_type_of(name: str) -> str:
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")
