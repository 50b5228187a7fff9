"""The second stage: tokens to samples."""
