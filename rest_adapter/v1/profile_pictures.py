"""Pictures that people choose from for their profile. They are ours, and public: a page shows them before anybody logged in."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from starlette.responses import Response

from projects.errors import NotFound
from rest_adapter.errors import BadRequest
from rest_adapter.routing import Answer, OwnerRule, endpoint
from rest_adapter.v1.files import FileNames
from rest_adapter.v1.models import Detail

_TAG = "Files"
_FOLDER = Path(__file__).parent.parent / "pictures"
_MEDIA_TYPE = "image/svg+xml"
_HEADERS = {"Cache-Control": "public, max-age=86400", "Content-Security-Policy": "default-src 'none'; sandbox"}


@cache
def _pictures() -> Mapping[str, Mapping[str, bytes]]:
    """By folder and name. What is asked for is looked up here, so that no path can be made of it."""
    folders = sorted(path for path in _FOLDER.iterdir() if path.is_dir())
    return {folder.name: {path.name: path.read_bytes() for path in sorted(folder.glob("*.svg"))} for folder in folders}


@endpoint("GET", "/api/v1/files/profile_pictures/list", Answer(200, FileNames), owner=OwnerRule.PUBLIC, tag=_TAG)
async def list_profile_pictures() -> dict[str, list[str]]:
    """All pictures, each with its folder."""
    return {"files": [f"{folder}/{name}" for folder, names in _pictures().items() for name in names]}


@endpoint(
    "GET",
    "/api/v1/files/profile_pictures/{folder_name}/{file_name}",
    Answer(200, media_type=_MEDIA_TYPE),
    Answer(400, Detail, "No folder of pictures has this name."),
    Answer(404, Detail),
    owner=OwnerRule.PUBLIC,
    tag=_TAG,
)
async def read_profile_picture(folder_name: str, file_name: str) -> Response:
    """One picture."""
    names = _pictures().get(folder_name)
    if names is None:
        raise BadRequest(f"There is no folder of pictures named {folder_name[:100]!r}; there are {', '.join(_pictures())}.")
    if file_name not in names:
        raise NotFound("profile picture", f"{folder_name}/{file_name}")
    return Response(names[file_name], media_type=_MEDIA_TYPE, headers=_HEADERS)


ENDPOINTS = (list_profile_pictures, read_profile_picture)
