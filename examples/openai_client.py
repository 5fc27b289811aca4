"""The client of OpenAI asks a server of ours, which keeps the proportions of its policy over all requests.

    fair-diffusion serve --policy examples/policies/stock.yaml        # says its address and, the first time, a key
    pip install openai
    FAIR_DIFFUSION_KEY=… python examples/openai_client.py

Nobody asks for a group: each request is for one image, and the server's ledger decides what it should show.
"""

from __future__ import annotations

import argparse
import base64
import os
from pathlib import Path

from openai import OpenAI


def main() -> None:
    """Ask for some single images, and keep them."""
    options = argparse.ArgumentParser(description="ask a server for images")
    options.add_argument("--address", default="http://127.0.0.1:8000")
    options.add_argument("--prompt", default="a photo of a firefighter")
    options.add_argument("-n", type=int, default=4, help="requests, each for one image")
    options.add_argument("--out", type=Path, default=Path("out/asked"))
    given = options.parse_args()

    client = OpenAI(base_url=f"{given.address}/v1", api_key=os.environ["FAIR_DIFFUSION_KEY"], max_retries=5)
    given.out.mkdir(parents=True, exist_ok=True)
    for k in range(given.n):
        answer = client.images.generate(prompt=given.prompt, n=1, response_format="b64_json")
        image = (answer.data or [])[0]
        (given.out / f"{k}.png").write_bytes(base64.b64decode(image.b64_json or ""))
    print(f"wrote {given.n} images to {given.out}")


if __name__ == "__main__":
    main()
