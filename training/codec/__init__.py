"""The frame-rate half of the codec: what turns codes and voices into frames, and its training."""
