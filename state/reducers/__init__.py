"""How one event changes each slice of the state: control, queue, fleet. A slice knows nothing of the others."""
