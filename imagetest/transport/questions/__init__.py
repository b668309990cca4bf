"""What is asked of a machine: which commands only look, what is known already, and how to ask for much at once."""
