"""`btswarm.toml`."""
