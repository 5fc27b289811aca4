"""How jobs and workers find each other."""


def kind_of(model: str) -> str:
    """The kind of the jobs that a model draws."""
    return f"draw {model}"


def audit_kind_of(model: str) -> str:
    """The kind of the audits whose pictures a model's judge reads."""
    return f"audit {model}"


def model_of(kind: str) -> str:
    """The model of such a kind."""
    return kind.removeprefix("draw ").removeprefix("audit ")
