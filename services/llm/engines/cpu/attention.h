// Attention of one token to all that it may see. Included behind products.h, and
//   Floats widen(halves)       LANES values of 16 bits.
// Keys lie in blocks of KEYS tokens, [tokens / KEYS, head, KEYS]; values [tokens, head]. Sums run over the head, then over
// the tokens in their order, whatever else is computed.

// Scores to shares that sum to one. scores [padded], of which the last may be any; `padded` is a multiple of KEYS.
inline void softmax(float* scores, size_t count, size_t padded) {
    std::fill(scores + count, scores + padded, -INFINITY);
    Floats largest = load(scores);
    for (size_t i = LANES; i < padded; i += LANES) largest = load(scores + i) > largest ? load(scores + i) : largest;
    float top = largest[0];
    for (size_t lane = 1; lane < LANES; lane++) top = std::max(top, float(largest[lane]));
    Floats sums{};
    for (size_t i = 0; i < padded; i += LANES) {
        const Floats share = exponential(load(scores + i) - top);
        store(scores + i, share);
        sums += share;
    }
    float sum = 0.0f;
    for (size_t lane = 0; lane < LANES; lane++) sum += sums[lane];
    const float inverse = 1.0f / sum;
    for (size_t i = 0; i < padded; i += LANES) store(scores + i, load(scores + i) * inverse);
}

// HEADS queries that share keys and values, [HEADS, head] -> out [HEADS, head]; scores: room for [HEADS, padded].
template <size_t HEADS>
void attend_together(const Seen& seen, const float* queries, float* scores, float* out) {
    constexpr size_t VECTORS = KEYS / LANES;
    const size_t head = seen.head, padded = seen.padded();
    const float scale = 1.0f / std::sqrt(float(head));
    const uint16_t* keys = seen.keys;
    for (size_t block = 0; block < padded; block += KEYS) {
        Floats sums[HEADS][VECTORS] = {};
        for (size_t i = 0; i < head; i++, keys += KEYS)
            for (size_t v = 0; v < VECTORS; v++) {
                const Floats wide = widen(keys + v * LANES);
#pragma GCC unroll 8
                for (size_t h = 0; h < HEADS; h++) sums[h][v] += wide * queries[h * head + i];
            }
        for (size_t h = 0; h < HEADS; h++)
            for (size_t v = 0; v < VECTORS; v++) store(scores + h * padded + block + v * LANES, sums[h][v] * scale);
    }
    for (size_t h = 0; h < HEADS; h++) softmax(scores + h * padded, seen.count, padded);
    for (size_t i = 0; i < head; i += LANES) {
        Floats sums[HEADS] = {};
        for (size_t token = 0; token < seen.count; token++) {
            const Floats wide = widen(seen.values + token * head + i);
#pragma GCC unroll 8
            for (size_t h = 0; h < HEADS; h++) sums[h] += wide * scores[h * padded + token];
        }
        for (size_t h = 0; h < HEADS; h++) store(out + h * head + i, sums[h]);
    }
}

// The same for `heads` queries, at most MOST_HEADS of them at a time.
template <size_t HEADS = MOST_HEADS>
void attend(size_t heads, const Seen& seen, const float* queries, float* scores, float* out) {
    if (heads > HEADS) {
        attend_together<HEADS>(seen, queries, scores, out);
        return attend<MOST_HEADS>(heads - HEADS, seen, queries + HEADS * seen.head, scores, out + HEADS * seen.head);
    }
    if (heads == HEADS) return attend_together<HEADS>(seen, queries, scores, out);
    if constexpr (HEADS > 1) attend<HEADS - 1>(heads, seen, queries, scores, out);
}
