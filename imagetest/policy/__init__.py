"""The decisions: pure functions of what is known, with the time passed in."""
