"""Real processes: started, recognised, stopped and buried."""
