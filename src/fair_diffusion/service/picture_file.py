"""A picture as a file with its public record: made by a model, by which rule, under which policy. No assigned group.

The group that a picture was to show is a label on a depicted person, so it stays in the job's result.
"""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any
from xml.sax.saxutils import quoteattr

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fair_diffusion.files.signature import CHANGED_BY_A_MODEL, MADE_BY_A_MODEL, Signature

MEDIA = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
"""The media type of each output format."""
PUBLIC_KEY = "fair-diffusion-public"
"""Key of the PNG text that holds the public record as JSON."""


def picture_file(
    image: Image.Image,
    public: dict[str, Any],
    *,
    format: str = "png",
    compression: int = 100,
    signature: Signature | None = None,
    changed: bool = False,
) -> bytes:
    """The picture as a file.

    Args:
        image: the picture.
        public: its public record, as JSON.
        format: a key of `MEDIA`.
        compression: the quality of webp and jpeg, 0 to 100; at 100 webp loses nothing.
        signature: signs the file, where one is given.
        changed: whether the model made it of somebody's picture.
    """
    source = CHANGED_BY_A_MODEL if changed else MADE_BY_A_MODEL
    file, mark = BytesIO(), _mark(public, source)
    if format == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", mark)
        info.add_itxt(PUBLIC_KEY, json.dumps(public))
        image.save(file, "PNG", pnginfo=info)
    elif format == "webp":
        image.save(file, "WEBP", quality=compression, lossless=compression == 100, xmp=mark.encode())
    else:
        image.save(file, "JPEG", quality=max(1, compression), xmp=mark.encode())
    if signature is None:
        return file.getvalue()
    return signature.signed(file.getvalue(), MEDIA[format], model=public.get("model", "a model"), source=source)


def _mark(public: dict[str, Any], source: str) -> str:
    """The mark that other programs read (XMP, with the IPTC's word for what a model made), and the record in it."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:fd="urn:fair-diffusion:" '
        f'Iptc4xmpExt:DigitalSourceType="{source}" fd:record={quoteattr(json.dumps(public))}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
