"""The GPU's kernels on the CPU, through a small shim."""
