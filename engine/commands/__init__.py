"""The commands of the engine, one module each, imported only when called."""
