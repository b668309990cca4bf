"""The `imagetest` command: what is not a test run. One module a command."""
