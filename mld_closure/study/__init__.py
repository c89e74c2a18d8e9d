"""A case of the reference hydrocode, from TOML to results; `run.run` is `mld_closure.run`."""
