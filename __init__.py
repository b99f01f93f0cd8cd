"""btswarm: keep a host busy searching for trading strategies, and certify only what noise could not produce."""

__version__ = "0.1.0"
