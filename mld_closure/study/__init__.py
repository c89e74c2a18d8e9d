"""A study: a case of the reference hydrocode from TOML to results."""
