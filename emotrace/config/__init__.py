"""The config: its schema, the plan that is made from it, and the files generated from it."""
