"""The whole of imagetest, from its command line to real machines."""
