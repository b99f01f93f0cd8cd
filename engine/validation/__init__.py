"""One statistic per file, each with its notation, units and source."""
