"""The studio: pages for people who instruct, look, judge and correct, beside the API and on the same database.

`mount` puts it beside the API. Pages are made by the server; `pages/` has one file for each.
"""

from fair_diffusion.studio.app import PREFIX, mount

__all__ = ["PREFIX", "mount"]
