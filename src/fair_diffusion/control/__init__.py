"""Control: which images are steered, what is made again, and the loop that draws them."""
