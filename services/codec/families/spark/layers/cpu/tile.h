// Included once for each instruction set, into a namespace of its own, behind
//   LANES                                  float32 values in a vector,
//   Floats multiply_add(sum, x, weights)   of an input, or of a pair of them that fills a float.

// Outputs of a narrow panel; a wide one has twice as many.
constexpr int64_t NARROW = LANES == 16 ? 16 : 8;

// Columns that run together, so that weights are read once for all: as many as there are registers for, of 8 lanes 16,
// else 32; of 16 lanes 14, because each has an address.
template <int64_t VECTORS>
constexpr int64_t TILE = LANES == 16 ? 14 : LANES == 8 ? 14 / VECTORS - 1 : 24 / VECTORS;

// Values of a column: inputs, or pairs of them. Sums run over taps, then inputs.
template <int64_t VECTORS, int64_t COLUMNS>
inline void convolve_tile(const Shape& shape, int64_t values, const Task& task, int64_t column) {
    constexpr int64_t WIDTH = VECTORS * LANES;
    const float* x = static_cast<const float*>(task.x) + column * values;
    const float* weights = static_cast<const float*>(task.weights);
    Floats sums[COLUMNS][VECTORS] = {};
    for (int64_t tap = 0; tap < shape.taps; ++tap) {
        const float* from = x + tap * shape.dilation * values;
        for (int64_t i = 0; i < values; ++i, weights += WIDTH) {
            Floats row[VECTORS];
            for (int64_t v = 0; v < VECTORS; ++v) row[v] = *reinterpret_cast<const Floats*>(weights + v * LANES);
#pragma GCC unroll 32
            for (int64_t f = 0; f < COLUMNS; ++f)
                for (int64_t v = 0; v < VECTORS; ++v) sums[f][v] = multiply_add(sums[f][v], from[f * values + i], row[v]);
        }
    }
    float made[WIDTH];
#pragma GCC unroll 32
    for (int64_t f = 0; f < COLUMNS; ++f) {
        for (int64_t v = 0; v < VECTORS; ++v)
            *reinterpret_cast<Floats*>(made + v * LANES) =
                sums[f][v] + *reinterpret_cast<const Floats*>(task.bias + v * LANES);
        put(made, task, column + f);
    }
}

// The same for `count` columns, at most COLUMNS.
template <int64_t VECTORS, int64_t COLUMNS = TILE<VECTORS>>
void convolve_columns(int64_t count, const Shape& shape, int64_t values, const Task& task, int64_t column) {
    if (count == COLUMNS) return convolve_tile<VECTORS, COLUMNS>(shape, values, task, column);
    if constexpr (COLUMNS > 1) convolve_columns<VECTORS, COLUMNS - 1>(count, shape, values, task, column);
}

template <int64_t VECTORS>
void convolve_panel(const Shape& shape, const Task& task) {
    const int64_t values = shape.kind == AVX512_BF16 ? shape.inputs / 2 : shape.inputs;
    for (int64_t column = 0; column < task.columns; column += TILE<VECTORS>)
        convolve_columns<VECTORS>(std::min(TILE<VECTORS>, task.columns - column), shape, values, task, column);
}

inline void convolve(const Shape& shape, const Task& task) {
    if (shape.panel == 2 * NARROW) return convolve_panel<2 * NARROW / LANES>(shape, task);
    convolve_panel<NARROW / LANES>(shape, task);
}
