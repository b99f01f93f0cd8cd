"""The simulators: the definition in plain Python, the exact compiled one, and the screens."""
