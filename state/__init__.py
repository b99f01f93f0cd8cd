"""The vocabulary every room shares, and what lies on disk."""
