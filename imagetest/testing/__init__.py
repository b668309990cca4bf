"""For authors of plugins: contracts that their drivers and reporters must keep, and fakes to build upon."""
