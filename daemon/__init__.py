"""Eyes and hands: what observes the host and acts on it. Imports agents and state only."""
