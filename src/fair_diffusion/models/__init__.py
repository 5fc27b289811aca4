"""Models: where their weights are, how they are loaded and changed, their usual settings, and the pocket model."""
