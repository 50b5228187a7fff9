"""What codes say: which phone is heard, which part of it, and between which others."""
