"""C3D fc6 features: the network, its weights, its input."""
