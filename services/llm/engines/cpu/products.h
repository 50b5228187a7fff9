// Products in 8 bits. Included once for each instruction set, into a namespace of its own, behind
//   LANES                      32-bit values in a vector,
//   Ints dot(sums, u8, s8)     sums + products of four bytes a lane, whose first factors are too large by
//   ZERO.
// Every sum of a row runs in the same order whatever else is in the batch: a row's result does not depend on the others.

// Rows that run together, so that a block is read once for all: as many as there are registers for.
constexpr size_t TILE = LANES == 16 ? 4 : 2;

inline Floats load(const float* from) { return *reinterpret_cast<const Floats*>(from); }

inline void store(float* to, Floats values) { *reinterpret_cast<Floats*>(to) = values; }

// Within 2e-7 of it; 0 where that would be less than any normal number, and nowhere infinite. After Cephes' expf.
inline Floats exponential(Floats x) {
    constexpr float LEAST = -87.0f, MOST = 88.0f, ROUND = 12582912.0f;
    const Floats near = x < LEAST ? LEAST - Floats{} : x > MOST ? MOST - Floats{} : x;
    const Floats twos = (near * 1.44269504f + ROUND) - ROUND;
    // ln 2 in two parts: the product with the first is exact.
    const Floats r = (near - twos * 0.693359375f) + twos * 2.12194440e-4f;
    Floats slope = r * 1.9875691500e-4f + 1.3981999507e-3f;
    slope = slope * r + 8.3334519073e-3f;
    slope = slope * r + 4.1665795894e-2f;
    slope = slope * r + 1.6666665459e-1f;
    slope = slope * r + 5.0000001201e-1f;
    const Ints scale = (__builtin_convertvector(twos, Ints) + 127) << 23;
    const Floats result = (slope * r * r + r + 1.0f) * reinterpret_cast<const Floats&>(scale);
    return x < LEAST ? Floats{} : result;
}

inline Floats swish(Floats x) { return x / (1.0f + exponential(-x)); }

// Each group of GROUP values to int8, by its largest magnitude / 127; behind an RMS norm where `norm` is not null.
void quantize(const float* x, const float* norm, float epsilon, Quantized& rows) {
    constexpr size_t VECTORS = GROUP / LANES;
    // Added and taken away, it rounds to the nearest integer.
    constexpr float ROUND = 12582912.0f;
    for (size_t row = 0; row < rows.count; row++, x += rows.width) {
        Floats squares{};
        for (size_t i = 0; norm && i < rows.width; i += LANES) squares += load(x + i) * load(x + i);
        float square = 0.0f;
        for (size_t lane = 0; lane < LANES; lane++) square += squares[lane];
        const float level = 1.0f / std::sqrt(square / rows.width + epsilon);
        float offset = 0.0f;
        for (size_t group = 0; group < rows.groups(); group++) {
            Floats values[VECTORS], largest{};
            for (size_t i = 0; i < VECTORS; i++) {
                const size_t at = group * GROUP + i * LANES;
                values[i] = norm ? load(x + at) * level * load(norm + at) : load(x + at);
                const Floats magnitude = values[i] < 0.0f ? -values[i] : values[i];
                largest = magnitude > largest ? magnitude : largest;
            }
            float top = 0.0f;
            for (size_t lane = 0; lane < LANES; lane++) top = std::max(top, float(largest[lane]));
            const float inverse = top > 0.0f ? 127.0f / top : 0.0f;
            Ints sums{};
            for (size_t i = 0; i < VECTORS; i++) {
                const Floats rounded = (values[i] * inverse + ROUND) - ROUND;
                const Ints integers = __builtin_convertvector(rounded, Ints);
                int8_t* codes = rows.codes.data() + row * rows.width + group * GROUP + i * LANES;
                *reinterpret_cast<Bytes*>(codes) = __builtin_convertvector(integers, Bytes);
                sums += integers;
            }
            int32_t sum = 0;
            for (size_t lane = 0; lane < LANES; lane++) sum += sums[lane];
            rows.scales[row * rows.groups() + group] = top / 127.0f;
            offset += top / 127.0f * sum;
        }
        rows.offsets[row] = ZERO * offset;
    }
}

// out [ROWS, BLOCK]: products of the rows from `first` on with one block of weights. FETCH: asks for the next block.
template <size_t ROWS, bool FETCH>
void multiply_tile(const Quantized& rows, size_t first, const uint8_t* block, float (*out)[BLOCK]) {
    constexpr size_t VECTORS = BLOCK / LANES;
    const int8_t* codes = rows.codes.data() + first * rows.width;
    const float* scales = rows.scales.data() + first * rows.groups();
    Floats sums[ROWS][VECTORS] = {};
    for (size_t group = 0; group < rows.groups(); group++) {
        Ints part[ROWS][VECTORS] = {};
        for (size_t column = 0; column < GROUP; column += 4) {
            Ints weights[VECTORS];
            for (size_t i = 0; i < VECTORS; i++, block += 4 * LANES) {
                weights[i] = *reinterpret_cast<const Ints*>(block);
                if constexpr (FETCH) __builtin_prefetch(block + rows.block_bytes(), 0, 2);
            }
#pragma GCC unroll 4
            for (size_t row = 0; row < ROWS; row++) {
                int32_t four;
                std::memcpy(&four, codes + row * rows.width + group * GROUP + column, 4);
                for (size_t i = 0; i < VECTORS; i++) part[row][i] = dot(part[row][i], weights[i], four - Ints{});
            }
        }
#pragma GCC unroll 4
        for (size_t row = 0; row < ROWS; row++)
            for (size_t i = 0; i < VECTORS; i++)
                sums[row][i] += __builtin_convertvector(part[row][i], Floats) * scales[row * rows.groups() + group];
    }
    const float* scale = reinterpret_cast<const float*>(block);
#pragma GCC unroll 4
    for (size_t row = 0; row < ROWS; row++)
        for (size_t i = 0; i < VECTORS; i++) {
            const size_t at = i * LANES;
            const Floats centred = sums[row][i] - rows.offsets[first + row];
            store(out[row] + at, centred * load(scale + at) + load(scale + BLOCK + at));
        }
}

// The same for `count` rows, at most ROWS.
template <bool FETCH, size_t ROWS = TILE>
void multiply(size_t count, const Quantized& rows, size_t first, const uint8_t* block, float (*out)[BLOCK]) {
    if (count == ROWS) return multiply_tile<ROWS, FETCH>(rows, first, block, out);
    if constexpr (ROWS > 1) multiply<FETCH, ROWS - 1>(count, rows, first, block, out);
}

// BLOCK columns of the product, or fewer at its end.
void compute(const Product& product, size_t index) {
    const Quantized& rows = product.rows;
    const uint8_t* block = product.blocks + index * rows.block_bytes() * (product.gated ? 2 : 1);
    const size_t at = index * BLOCK, columns = std::min(BLOCK, product.columns - at);
    const size_t tiles = (rows.count + TILE - 1) / TILE;
    for (size_t tile = 0; tile < tiles; tile++) {
        const size_t first = rows.count * tile / tiles, count = rows.count * (tile + 1) / tiles - first;
        alignas(64) float out[TILE][BLOCK], factor[TILE][BLOCK];
        // While a second tile is multiplied, memory has time for the next block.
        const auto multiply_tiles = tiles > 1 ? multiply<true> : multiply<false>;
        multiply_tiles(count, rows, first, block, out);
        if (product.gated) {
            multiply_tiles(count, rows, first, block + rows.block_bytes(), factor);
            for (size_t row = 0; row < count; row++)
                for (size_t i = 0; i < BLOCK; i += LANES)
                    store(out[row] + i, swish(load(out[row] + i)) * load(factor[row] + i));
        }
        for (size_t row = 0; row < count; row++) {
            const size_t place = (first + row) * product.columns + at;
            for (size_t i = 0; i < columns; i++)
                product.out[place + i] = out[row][i] + (product.residual ? product.residual[place + i] : 0.0f);
        }
    }
}

