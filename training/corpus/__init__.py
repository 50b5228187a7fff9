"""The teacher's speech: what espeak-ng says, with all that is known of it."""
