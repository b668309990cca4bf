"""What the demo's photo gallery promises."""
