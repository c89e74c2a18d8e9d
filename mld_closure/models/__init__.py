"""Networks that encode fields into latents, evolve them and read quantities from them; and their files."""
