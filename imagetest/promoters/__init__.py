"""Ways to publish a promoted image, one module each."""
