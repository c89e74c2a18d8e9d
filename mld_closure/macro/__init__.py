"""A small reference hydrocode on the equation of state and fluxes of `dns`; a closure burns its cells."""
