"""The parts of the page: each file turns a sheet into what the template of the same name shows, or None."""
