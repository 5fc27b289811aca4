"""Statistics: pure functions on numbers. They import nothing else of this package."""
