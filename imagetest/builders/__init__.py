"""Ways to make an image, one folder or module each."""
