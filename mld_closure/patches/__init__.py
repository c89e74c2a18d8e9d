"""Microstructure by the patch: the image of a whole sample, patches of it for cells, tiles of wide frames."""
