"""What the preflight looks at, one subject per file. Each function returns `Check`s and raises nothing."""
