"""The `dualseg` command: one file a subcommand."""
