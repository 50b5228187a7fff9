"""Who speaks in each utterance of the corpus, as the trained codec hears it."""
