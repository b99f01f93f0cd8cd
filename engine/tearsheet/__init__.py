"""A self-contained HTML report of one configuration."""
