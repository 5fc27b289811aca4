"""The path of a request as routes know it: without the prefix under which the server is reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope


def route_path(scope: Scope) -> str:
    """The path of a request behind the prefix that ASGI calls `root_path`. A path outside of it stays as it is."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    behind = path.removeprefix(prefix)
    return behind if behind.startswith("/") or not behind else path
