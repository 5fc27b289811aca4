"""Perception: readers of groups in pictures. The perceiver may steer; the judge only scores."""
