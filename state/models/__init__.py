"""One model per thing that is written down or passed between rooms."""
