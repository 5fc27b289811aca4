"""Stores of objects that fsspec knows, such as S3. Exports `object_store`."""

from __future__ import annotations

import importlib
from typing import Any


def object_store(url: str, what: str) -> tuple[Any, str]:
    """Open a store.

    Args:
        url: of fsspec, such as "s3://bucket/images".
        what: what the URL is wanted for, in a message: "place for images".

    Returns:
        The file system of fsspec, and the path of the URL in it.

    Raises:
        ValueError: the URL cannot be used, or what it needs is not installed.
    """
    try:
        fsspec: Any = importlib.import_module("fsspec")
        system, root = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ValueError(f'{url} needs more: pip install "fair-diffusion[service]" ({error})') from None
    except ValueError as error:
        raise ValueError(f"{url} is no {what} ({error}); give a URL of fsspec, such as s3://bucket/folder") from None
    return system, root
