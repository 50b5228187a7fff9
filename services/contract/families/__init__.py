"""What the stages of one model line share and nobody else knows."""
