"""Candles from files: finding, reading, checking, mending and generating them."""
