"""autoflex_pipeline."""
