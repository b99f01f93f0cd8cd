"""Numbers: candles, simulators, the screen, the search and its validation. Knows no daemon and no agent."""
