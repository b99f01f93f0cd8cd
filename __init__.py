"""btswarm: keep a GPU host busy searching for trading strategies, and certify only what noise could not have produced."""

__version__ = "0.1.0"
