"""Everything that touches media files or the network: open, decode, probe, fetch, encode."""
