"""The files of the page, held in memory: what is not among them when the server starts cannot be asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

# Said here, since what the system's own table says of .js differs from machine to machine.
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


class StaticFile:
    """One file, which a browser may keep as long as it asks whether it is still the same."""

    def __init__(self, path: Path) -> None:
        self.content = path.read_bytes()
        self.type = TYPES.get(path.suffix, "application/octet-stream")
        self.tag = f'"{hashlib.sha256(self.content).hexdigest()[:20]}"'

    def response(self, request: Request) -> Response:
        headers = {"ETag": self.tag, "Cache-Control": "no-cache"}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if self.tag in known:
            return Response(status_code=304, headers=headers)
        return Response(self.content, media_type=self.type, headers=headers)


def files_in(folder: Path) -> dict[str, StaticFile]:
    """The files right in a folder by their names; none if there is no such folder."""
    return {path.name: StaticFile(path) for path in sorted(folder.glob("*")) if path.is_file()}
