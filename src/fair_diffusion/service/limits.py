"""What one API key may ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from fair_diffusion.policy.attributes import suggestion


class LimitError(ValueError):
    """A request is over a limit.

    Attributes:
        limit: the name of the limit, as in `Limits`, or "waiting" for the whole queue.
        retry_after: seconds after which it may fit; None if it never will.
    """

    def __init__(self, message: str, limit: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.limit, self.retry_after = limit, retry_after


@dataclass(frozen=True)
class Limits:
    """The limits of a key; None is no limit.

    Attributes:
        images_per_minute: images in any 60 seconds, by when they were asked for.
        queued: jobs that wait at once, of all models.
        pixels: pixels of one image.
        steps: denoising steps.
        n: images of one request.
    """

    images_per_minute: int | None = None
    queued: int | None = None
    pixels: int | None = None
    steps: int | None = None
    n: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"the limit {field.name} is {value!r}; give a whole number, 1 or more, or none")

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """The limits as they are stored; a limit of a newer version is left out."""
        return cls(**{field.name: given.get(field.name) for field in fields(cls)})

    def stored(self) -> dict[str, int]:
        """The limits that are set, as plain data."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def check(self, *, n: int = 1, pixels: int | None = None, steps: int | None = None) -> None:
        """`LimitError` if one request asks for more than the key may."""
        for name, asked in (("n", n), ("pixels", pixels), ("steps", steps)):
            most = getattr(self, name)
            if asked is not None and most is not None and asked > most:
                raise LimitError(f"{name} is {asked}, and this key may have {most}; ask for less", name)


def changed(limits: Limits, new: Mapping[str, int | None], lifted: Sequence[str] = ()) -> Limits:
    """Limits with some of them changed.

    Args:
        limits: as they are.
        new: by name; None leaves a limit as it is.
        lifted: names of limits that end, also with "-" for "_".

    Raises:
        ValueError: nothing is changed; or `lifted` names no limit, or one that `new` sets.
    """
    given = {name: value for name, value in new.items() if value is not None}
    ended = [name.replace("-", "_") for name in lifted]
    if not given and not ended:
        raise ValueError("no limit is given; name one, such as --queued 10, or one that ends, such as --lift queued")
    names = tuple(field.name for field in fields(limits))
    for name in ended:
        if name not in names:
            raise ValueError(f"unknown limit {name!r}; {suggestion(name, names)}")
        if name in given:
            raise ValueError(f"the limit {name} is both given and lifted; do one of both")
    return Limits(**{**asdict(limits), **given, **dict.fromkeys(ended)})
