"""The tokenizer's ears: from recordings back to the codes that they were designed to have."""
