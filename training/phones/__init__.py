"""A small recogniser of phones: the ear that the voice is measured with. It has heard the teacher alone."""
