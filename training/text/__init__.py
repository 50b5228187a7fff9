"""What the teacher reads aloud: made here, of words whose licence allows it."""
