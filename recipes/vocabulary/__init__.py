"""The recipe of the vocabulary that the package ships: `python -m recipes.vocabulary`."""
