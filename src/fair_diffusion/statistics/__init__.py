"""Statistics: pure functions on numbers. They import no other module of this package."""
