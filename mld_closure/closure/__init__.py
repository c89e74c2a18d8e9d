"""The closure in one process: life of cells, latent states, readouts, guards; no MPI."""
