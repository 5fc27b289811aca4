"""Training of the methods that learn before drawing, one file per method."""
