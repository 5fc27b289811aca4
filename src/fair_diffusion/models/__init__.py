"""Models: where weights lie, how they are loaded and changed, what is usual for each, and the pocket model."""
