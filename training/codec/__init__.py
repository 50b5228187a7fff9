"""The codec: modules, losses and the two stages of its training."""
