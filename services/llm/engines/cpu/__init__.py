"""cpu: our own engine, in C++, for checkpoints in 8 bits on CPUs with AVX2 or NEON."""
