"""The microstructure of a specimen, and its patches: one per cell, copied out and added back."""
