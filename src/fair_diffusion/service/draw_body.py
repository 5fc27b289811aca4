"""The body of a job that draws: all that a worker must know, as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from fair_diffusion.policy import Policy
from fair_diffusion.request import Request

_COMMON = ("prompt", "n", "seed", "steps", "guidance", "method", "negative_prompt")
ERASED = "(not kept)"
"""What stands in the place of a text that is not kept."""


@dataclass(frozen=True, kw_only=True)
class DrawBody:
    """What one request asks for, after all defaults are filled in.

    Attributes:
        prompt, n, seed, steps, guidance, method: as in `Request`.
        negative_prompt, hold, size, instruct: as in `Request`; None as there.
        policy: the version that held when the request came; None: no policy.
        defined_by: the version whose definitions of attributes the instruction uses; None: the built-in ones.
        policy_hash: its hash, for the public record.
        format, compression, quality: of the files.
        partials: how many partial images are wanted of each image.
        originals: hashes of the pictures that are to be moved; None: images are drawn, or the pictures are not kept.
        upload: under which name these are stored; "": images are drawn.
        group: what the job is a part of, such as an audit; "" if of nothing.
        plain: the job that draws the same seeds without steering, if one does.
        instead: the groups that every image is to show, because it takes the place of one that has a turn already; it
            takes none. None: the turns of the job say.
        request: the id of the HTTP request, for logs.
    """

    prompt: str
    n: int
    seed: int
    steps: int
    guidance: float
    method: str
    negative_prompt: str | None = None
    hold: list[str] | None = None
    size: str | None = None
    instruct: str | None = None
    policy: int | None = None
    defined_by: int | None = None
    policy_hash: str | None = None
    format: str = "png"
    compression: int = 100
    quality: str = "medium"
    partials: int = 0
    originals: list[str] | None = None
    upload: str = ""
    group: str = ""
    plain: str = ""
    instead: dict[str, str] | None = None
    request: str = ""

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        """The body as it is stored."""
        return cls(**{field.name: body[field.name] for field in fields(cls) if field.name in body})

    def stored(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @property
    def erased(self) -> Self:
        """The same without the texts and pictures of the client."""
        return replace(
            self,
            prompt=ERASED,
            negative_prompt=ERASED if self.negative_prompt else None,
            instruct=ERASED if self.instruct else None,
            originals=None,
        )

    @property
    def own(self) -> bool:
        """Whether the request said itself what the images are to show or to keep, which only operators may."""
        return any(each is not None for each in (self.instruct, self.hold, self.negative_prompt))

    @property
    def version(self) -> int | None:
        """The version of the policy that `drawing` takes: for its rules, or for the definitions of an instruction."""
        return self.policy if self.instruct is None else self.defined_by

    def drawing(self, policy: Policy | None, *, batch: int) -> Request:
        """What the pipeline is asked for. `ValueError` naming what is wrong.

        Args:
            policy: the policy of `version`.
            batch: images in one batch at most.
        """
        own: dict[str, Any] = {"policy": policy}
        if self.instruct is not None:
            own = {"instruct": self.instruct, "attributes": policy.attributes if policy else None}
        return Request(**self.common(batch=batch), size=self.size, **own)

    def common(self, *, batch: int) -> dict[str, Any]:
        """The fields that drawing and moving pictures have in common, by name; `batch` as in `drawing`."""
        return {
            **{name: getattr(self, name) for name in _COMMON},
            "hold": self.hold if self.hold != [] else "none",
            "batch_size": batch,
        }
