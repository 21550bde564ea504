"""The config: its schema, what is planned from it, and the files generated from it."""
