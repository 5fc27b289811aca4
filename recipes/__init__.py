"""How the models that ship with the package are made."""
