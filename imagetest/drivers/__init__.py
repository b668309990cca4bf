"""Places to boot an image, one folder or module each."""
