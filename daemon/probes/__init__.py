"""What is measured, one kind of thing a file. A probe returns a reading; it never says 0 for what it could not read."""
