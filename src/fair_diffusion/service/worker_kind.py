"""How jobs and workers find each other."""


def kind_of(model: str) -> str:
    """The kind of the jobs that a model draws."""
    return f"draw {model}"


def model_of(kind: str) -> str:
    """The model of such a kind."""
    return kind.removeprefix("draw ")
