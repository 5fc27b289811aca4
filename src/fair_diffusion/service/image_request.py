"""What `POST /v1/images/generations` takes, checked before anything is allocated."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fair_diffusion.policy import Attributes, Policy
from fair_diffusion.policy.attributes import suggestion
from fair_diffusion.policy.defined_as import BUILT_IN, defined_as
from fair_diffusion.policy.errors import PolicyError
from fair_diffusion.request import MAX_PROMPT
from fair_diffusion.seeds import SEEDS
from fair_diffusion.service.draw_body import DrawBody
from fair_diffusion.service.keys import OPERATOR, Key
from fair_diffusion.service.policies import Version
from fair_diffusion.service.problems import forbidden, overloaded, wrong
from fair_diffusion.service.served_model import ServedModel, usual_model
from fair_diffusion.service.server import Server

MOST = 10
"""Images of one request."""
LARGER = 16
"""How many times the pixels of the model's usual images an image may have: more take very long, and show no sense."""
QUALITIES = {"auto": 1.0, "low": 0.5, "medium": 1.0, "standard": 1.0, "high": 1.5, "hd": 1.5, "xhigh": 2.0, "max": 3.0}
"""By each quality, the steps as a multiple of the model's usual ones."""
_ANSWERED = {"auto": "medium", "standard": "medium", "hd": "high"}
WORDS = "prompt"
"""The method by which images are steered that another server draws."""
_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Fairness(_Strict):
    """What an operator may say beside the usual fields. Keys of role client draw by the server's policy."""

    instruct: str | None = Field(
        default=None, max_length=4000, description="instead of the policy", examples=["firefighter: half women"]
    )
    policy: Annotated[int, Field(ge=1, le=2**31 - 1)] | Literal["none"] | None = Field(
        default=None, description="a version of the policy, instead of the active one"
    )
    hold: list[str] | None = Field(default=None, max_length=32, description="attributes that steered images keep")
    method: str | None = Field(default=None, max_length=100, description="of steering")
    seed: Annotated[int, Field(ge=0, lt=SEEDS)] | None = Field(default=None, description="a random one if not given")
    steps: Annotated[int, Field(ge=1, le=1000)] | None = Field(default=None, description="instead of quality")
    guidance: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        default=None, description="the model's own if not given"
    )
    negative_prompt: str | None = Field(default=None, max_length=MAX_PROMPT, description="what the images do not show")


class ImageRequest(_Strict):
    """The OpenAI images contract, with `fairness` beside it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"prompt": "a photo of a firefighter", "n": 2},
                {"prompt": "a photo of a nurse", "stream": True, "partial_images": 2},
            ]
        }
    )

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT, description="what the images show")
    model: str | None = Field(default=None, max_length=300, description="of /v1/models; the first one if not given")
    n: Annotated[int, Field(ge=1, le=MOST)] | None = Field(default=None, description="1 if not given")
    size: str | None = Field(
        default=None,
        max_length=20,
        description='auto, the model\'s own, or such as "64x64"; auto if not given',
    )
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = Field(
        default=None, description="how many steps; auto if not given"
    )
    background: Literal["auto", "opaque"] | None = Field(default=None, description="auto if not given")
    output_format: Literal["png", "webp", "jpeg"] | None = Field(default=None, description="png if not given")
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = Field(
        default=None, description="of webp and jpeg; 100 if not given"
    )
    moderation: Literal["auto", "low"] | None = Field(default=None, description="taken, and without effect")
    stream: bool | None = Field(default=None, description="answer with events; false if not given")
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = Field(
        default=None, description="of a stream; 0 if not given"
    )
    response_format: Literal["url", "b64_json"] | None = Field(default=None, description="b64_json if not given")
    safety_identifier: str | None = Field(default=None, max_length=512, description="taken, and not stored")
    user: str | None = Field(default=None, max_length=512, description="taken, and not stored")
    fairness: Fairness | None = Field(default=None, description="for operators")

    def asked(self) -> dict[str, Any]:
        """What the client sent, by which a request under the same idempotency key is known to be the same."""
        return self.model_dump(exclude_none=True, exclude={"safety_identifier", "user"})


def chosen_model(server: Server, name: str | None) -> ServedModel:
    """The model of a request. 400 if it is not served, 503 if no worker has told of any yet."""
    for look in (server.models_lately, server.models):
        models = look()
        if name is None and models:
            return usual_model(models)
        for model in models:
            if model.ready and name == model.name:
                return model
    if not models:
        raise overloaded("no worker has loaded a model yet; try again", 5.0)
    for model in models:
        if name == model.name:
            return model
    raise wrong("model", _unknown(name or "", tuple(m.name for m in models)), "model_not_found")


def _unknown(name: str, models: tuple[str, ...]) -> str:
    """What is wrong with the name of a model that is not served, and the mend. A LoRA belongs to its model."""
    base, plus, lora = name.rpartition("+")
    if not plus or base not in models:
        return f"unknown model; {suggestion(name, models)}"
    own = [each for each in models if each.startswith(f"{base}+")]
    others = [each for each in models if each.endswith(f"+{lora}")]
    mend = f"use {' or '.join(others)}" if others else f"it has {', '.join(own)}" if own else "it has none"
    return f"the model {base} has no LoRA of this name; {mend}"


def draw_body(server: Server, key: Key, asked: ImageRequest, model: ServedModel, request: str) -> DrawBody:
    """The body of the job: every default filled in, every field checked as far as can be without the model.

    Raises:
        Problem: 400 or 403 that names the field.
        LimitError: it is more than the key may ask for.
    """
    own = asked.fairness
    if own is not None and key.role != OPERATOR:
        raise forbidden("a key of role client may not set fairness: the server's policy holds", "fairness")
    own = own or Fairness()
    n, size = asked.n or 1, _size(asked.size, model, server)
    format, compression = asked.output_format or "png", asked.output_compression
    if format == "png" and compression not in (None, 100):
        raise wrong("output_compression", "png is not compressed further; use jpeg or webp, or leave it out")
    if asked.partial_images and not asked.stream:
        raise wrong("partial_images", "partial images need stream: true")
    if asked.stream and asked.response_format == "url":
        raise wrong("response_format", "a stream holds its images; use b64_json, or no stream")
    if model.upstream:
        _check_upstream(own)
    steps = own.steps or max(1, round(model.steps * QUALITIES[asked.quality or "auto"]))
    if steps > server.settings.most_steps:
        param = "fairness.steps" if own.steps else "quality"
        raise wrong(param, f"{steps} steps are more than this server draws ({server.settings.most_steps})")
    width, height = (model.width, model.height) if size is None else map(int, size.split("x"))
    key.limits.check(n=n, pixels=width * height, steps=steps)
    version, digest = _policy(server, own)
    number = version.version if version else None
    body = DrawBody(
        prompt=asked.prompt,
        n=n,
        seed=secrets.randbelow(SEEDS - MOST) if own.seed is None else own.seed,
        steps=steps,
        guidance=model.guidance if own.guidance is None else own.guidance,
        method=own.method or (WORDS if model.upstream else _usual()),
        negative_prompt=own.negative_prompt,
        hold=own.hold,
        size=size,
        instruct=own.instruct,
        policy=number if own.instruct is None else None,
        defined_by=number if own.instruct is not None else None,
        policy_hash=digest,
        format=format,
        compression=100 if compression is None else compression,
        quality=_quality(asked.quality or "auto", model),
        partials=(asked.partial_images or 0) if asked.stream else 0,
        request=request,
    )
    _check(body, version.policy if version else None)
    return body


def _quality(quality: str, model: ServedModel) -> str:
    """The quality as the answer names it. Another server is asked for it as it was given."""
    return quality if model.upstream else _ANSWERED.get(quality, quality)


def _check_upstream(own: Fairness) -> None:
    """400 that names the first field that no other server takes."""
    if own.method not in (None, WORDS):
        raise wrong("fairness.method", f"another server draws, which only reads the prompt; use the method {WORDS!r}")
    for name in ("seed", "steps", "guidance", "negative_prompt"):
        if getattr(own, name) is not None:
            raise wrong(f"fairness.{name}", f"another server draws, which takes no {name}; leave it out")


def lane_of(body: DrawBody, model: ServedModel) -> str:
    """What jobs must have in common to share batches. Methods that draw other images than asked for are drawn alone."""
    from fair_diffusion.methods import named

    shared = f"{model.name} {body.size} {body.steps} {body.guidance:g} {body.method}"
    together = named(body.method).drawn_by == "everyone"
    return shared if together else f"{shared} {secrets.token_hex(8)}"


def _usual() -> str:
    from fair_diffusion.methods import USUAL

    return USUAL


def _size(size: str | None, model: ServedModel, server: Server) -> str | None:
    """Width and height; None: the model's own."""
    if size in (None, "auto"):
        return None
    found = _SIZE.fullmatch(size or "")
    if found is None:
        raise wrong("size", 'give "auto", or width and height in pixels such as "512x512"')
    width, height = int(found[1]), int(found[2])
    if (width, height) == (model.width, model.height):
        return None
    most = server.settings.most_pixels
    if not model.upstream:
        most = min(most, LARGER * model.width * model.height)
    if width * height > most or max(width, height) > 8192:
        raise wrong("size", f"this is larger than {model.name} draws here ({most:,} pixels)")
    grain = model.grain
    if width % grain or height % grain or min(width, height) < 16:
        usual = "" if model.upstream else f" that are multiples of {grain}, such as {model.width}x{model.height}"
        raise wrong("size", f"{model.name} draws sides from 16 pixels{usual}")
    return f"{width}x{height}"


def _policy(server: Server, own: Fairness) -> tuple[Version | None, str | None]:
    """The version whose rules hold for a request, or whose definitions its instruction uses; the hash of what holds."""
    if own.instruct is not None:
        if own.policy is not None:
            raise wrong("fairness.policy", "both an instruction and a policy are given; give one")
        version = server.policies.active()
        try:
            read = Policy.from_sentence(own.instruct, version.policy.attributes if version else None)
        except PolicyError as error:
            raise wrong("fairness.instruct", str(error), "invalid_policy") from None
        return version, _instruction_hash(own.instruct, read.attributes)
    if own.policy == "none":
        return None, None
    if own.policy is None:
        version = server.policies.active()
    else:
        try:
            version = server.policies.get(own.policy)
        except ValueError as error:
            raise wrong("fairness.policy", str(error)) from None
    return version, version.hash if version else None


def _instruction_hash(instruct: str, defined: Attributes) -> str:
    """The hash of an instruction and of the definitions that are not built in: with other ones it means otherwise."""
    known = {name: defined_as(each) for name, each in defined.items()}
    own = "".join(f"\n{name} as {digest}" for name, digest in sorted(known.items()) if digest != BUILT_IN)
    return hashlib.sha256(f"{instruct}{own}".encode()).hexdigest()


def _check(body: DrawBody, policy: Policy | None) -> None:
    """400 that names the field if the pipeline would refuse the request. `policy` is as in `DrawBody.drawing`."""
    try:
        asked = body.drawing(policy, batch=1)
        if asked.row.learnt and asked.row.needs_file:
            raise ValueError(f"method {body.method!r} needs a file that a request cannot bring")
    except PolicyError as error:
        raise wrong("fairness.instruct", str(error), "invalid_policy") from None
    except ValueError as error:
        said = str(error)
        names = [name for name in ("method", "hold", "negative_prompt", "guidance", "steps", "seed") if name in said]
        own = "prompt" if said.startswith("the prompt") else "size" if said.startswith("size") else None
        param = own or (f"fairness.{names[0]}" if names else "fairness")
        if "negative prompt" in said:
            param = "fairness.negative_prompt"
        raise wrong(param, said) from None
