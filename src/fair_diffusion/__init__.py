"""Instruct a deployed text-to-image model on fairness, and measure what it then draws."""
