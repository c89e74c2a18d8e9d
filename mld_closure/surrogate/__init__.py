"""The server of latent states: networks, pool, rollout, readers, frame 0; knows no host, no clock, no MPI."""
