"""Markets whose truth is known, and the pipeline run on them: how often noise is certified, how often an edge."""
