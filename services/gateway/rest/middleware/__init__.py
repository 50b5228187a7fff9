"""Plain ASGI middleware that every request passes: none of it buffers a reply or hides that a client has left."""
