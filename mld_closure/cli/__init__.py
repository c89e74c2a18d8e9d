"""The `mld-closure` command line: one file per command."""
