"""Readers of groups in pictures: the perceiver may steer, the judge alone scores."""
