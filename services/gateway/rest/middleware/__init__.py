"""What every request passes through, as plain ASGI: nothing here buffers a reply or hides that a client left."""
