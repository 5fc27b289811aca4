"""`python -m fair_diffusion.cli`: the command, for processes that start another of themselves."""

from fair_diffusion.cli import app

app(prog_name="fair-diffusion")
