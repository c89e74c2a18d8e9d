"""Networks that encode fields into latents and evolve the latents."""
