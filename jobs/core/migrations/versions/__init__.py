"""One file a step; the statements themselves stand in ../sql."""
