"""The values that stages exchange, each with its mapping to the wire (voxline.stages.v1, which explains them)."""
