// Convolutions over columns whose channels lie side by side: each output column is a sum over taps and inputs, always in
// that order, so it depends neither on how many columns and streams are computed nor on the threads. A transposed
// convolution is one with the outputs of all its phases; a linear map has one tap.
//
//   out [F, O] = bias [O] + sum over taps k and inputs i of x [k * dilation + F, i] * weights [k, i, O]
//
// Weights lie in panels of `panel` outputs, the last one filled up: [O / panel, K, I, panel], bfloat16 in pairs of
// inputs, [O / panel, K, I / 2, panel, 2]. Behind x lies as much as a tile of 16 columns may read, whatever it holds.

namespace {

struct Shape {
    int64_t rows, columns, inputs, outputs, taps, dilation, stride, panel, kind, threads;

    int64_t panels() const { return (outputs + panel - 1) / panel; }
    int64_t panel_weights() const { return taps * inputs * panel; }
};

enum Kind { AVX2 = 1, AVX512, AVX512_BF16, AMX_BF16, NEON };

// What a kernel makes of one panel of outputs, [columns, width] of out, whose columns lie `apart` values apart.
struct Task {
    const void* x;
    const void* weights;
    const float* bias;
    float* out;
    int64_t columns, width, apart;
};

using Kernel = void (*)(const Shape& shape, const Task& task);

inline void put(const float* values, const Task& task, int64_t column) {
    std::copy_n(values, task.width, task.out + column * task.apart);
}

}  // namespace

// `kernel_of` a kind, `prepare` and `finish`, and `best_kind`: the best kernel for float32, or for bfloat16, that this CPU has;
// 0 for none.
#ifdef __aarch64__
#include "aarch64.h"
#else
#include "x86.h"
#endif

namespace {

void convolve(const Shape& shape, const void* x, const void* weights, const float* bias, float* out) {
    const int64_t bytes = shape.kind == AVX512_BF16 || shape.kind == AMX_BF16 ? 2 : 4;
    const Kernel kernel = kernel_of(shape.kind);
#pragma omp parallel num_threads(shape.threads) if (shape.threads > 1)
    {
        prepare(shape);
#pragma omp for collapse(2)
        for (int64_t panel = 0; panel < shape.panels(); ++panel)
            for (int64_t row = 0; row < shape.rows; ++row) {
                const int64_t first = panel * shape.panel;
                kernel(shape, {static_cast<const char*>(x) + row * shape.stride * bytes,
                               static_cast<const char*>(weights) + panel * shape.panel_weights() * bytes, bias + first,
                               out + row * shape.columns * shape.outputs + first, shape.columns,
                               std::min(shape.panel, shape.outputs - first), shape.outputs});
            }
        finish(shape);
    }
}

// Each channel by itself: out [F, C] = bias [C] + sum over taps k of x [k + F, C] * weights [k, C].
FOR_CPUS void depthwise_row(
    const float* x, const float* weights, const float* bias, float* out, int64_t columns, int64_t channels, int64_t taps) {
    for (int64_t f = 0; f < columns; ++f, x += channels, out += channels) {
        std::copy_n(bias, channels, out);
        for (int64_t tap = 0; tap < taps; ++tap)
#pragma GCC ivdep
            for (int64_t c = 0; c < channels; ++c) out[c] += x[tap * channels + c] * weights[tap * channels + c];
    }
}

void depthwise(const Shape& shape, const float* x, const float* weights, const float* bias, float* out) {
#pragma omp parallel for num_threads(shape.threads) if (shape.threads > 1)
    for (int64_t row = 0; row < shape.rows; ++row)
        depthwise_row(x + row * shape.stride, weights, bias, out + row * shape.columns * shape.outputs, shape.columns,
                      shape.outputs, shape.taps);
}

}  // namespace
