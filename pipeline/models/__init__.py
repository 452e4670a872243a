"""Float networks for images and action units, their layers, and the network as a graph."""
