"""Benchmarks of the swarm: measured from outside, beside what others do on the same machine in the same run."""
