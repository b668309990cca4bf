"""The nouns of the project: frozen values that say what is known and decide nothing."""
