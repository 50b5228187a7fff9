"""What the machine could do at best, measured in the same run: no stage can be cheaper than this."""
