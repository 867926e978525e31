"""Everything that touches libav or the network: open, decode, probe, fetch, encode."""
