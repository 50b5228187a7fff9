// The kernels of x86.

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LANES 16
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,fma")
namespace avx512 {
typedef float Floats __attribute__((vector_size(64), aligned(4), may_alias));
inline Floats multiply_add(Floats sum, float x, Floats weights) { return sum + x * weights; }
#include "tile.h"
}  // namespace avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma")
namespace avx512_bf16 {
typedef float Floats __attribute__((vector_size(64), aligned(4), may_alias));
inline Floats multiply_add(Floats sum, float x, Floats weights) {
    return (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(x), (__m512bh)(__m512)weights);
}
#include "tile.h"
}  // namespace avx512_bf16
#pragma GCC pop_options
#undef LANES

#define LANES 8
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
typedef float Floats __attribute__((vector_size(32), aligned(4), may_alias));
inline Floats multiply_add(Floats sum, float x, Floats weights) { return sum + x * weights; }
#include "tile.h"
}  // namespace avx2
#pragma GCC pop_options
#undef LANES

#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl")
namespace amx_bf16 {

constexpr int64_t SIDE = 16;

// Inputs of a tile.
inline int64_t depth_of(const Shape& shape) { return std::min<int64_t>(32, shape.inputs); }

// Tiles 0 to 3 are sums [16 columns, 16 outputs], 4 and 5 columns [16, depth], 6 and 7 weights [depth / 2, 16 outputs, 2].
inline void configure(int64_t depth) {
    alignas(64) uint8_t config[64] = {1};
    for (int tile = 0; tile < 8; ++tile) {
        config[16 + 2 * tile] = tile == 4 || tile == 5 ? 2 * depth : 64;
        config[48 + tile] = tile < 6 ? SIDE : depth / 2;
    }
    // GCC's own intrinsic tells it of the first eight bytes only.
    asm volatile("ldtilecfg %0" ::"m"(config));
}

inline void release() { _tile_release(); }

inline void put_tile(const float* sums, const Task& task, int64_t column, int64_t output) {
    const int64_t width = std::min(SIDE, task.width - output), columns = std::min(SIDE, task.columns - column);
    for (int64_t f = 0; f < columns; ++f)
        for (int64_t o = 0; o < width; ++o)
            task.out[(column + f) * task.apart + output + o] = sums[f * SIDE + o] + task.bias[output + o];
}

template <bool WIDE>
void convolve_panel(const Shape& shape, const Task& task) {
    const auto* x = static_cast<const uint16_t*>(task.x);
    const int64_t inputs = shape.inputs, depth = depth_of(shape), panel = WIDE ? 2 * SIDE : SIDE;
    alignas(64) float sums[SIDE * SIDE];
    for (int64_t column = 0; column < task.columns; column += 2 * SIDE) {
        const bool both = column + SIDE < task.columns;
        const auto* weights = static_cast<const uint16_t*>(task.weights);
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int64_t tap = 0; tap < shape.taps; ++tap) {
            const uint16_t* from = x + (column + tap * shape.dilation) * inputs;
            for (int64_t input = 0; input < inputs; input += depth, weights += depth * panel) {
                _tile_loadd(6, weights, 4 * panel);
                if (WIDE) _tile_loadd(7, weights + 2 * SIDE, 4 * panel);
                _tile_loadd(4, from + input, 2 * inputs);
                _tile_dpbf16ps(0, 4, 6);
                if (WIDE) _tile_dpbf16ps(1, 4, 7);
                if (!both) continue;
                _tile_loadd(5, from + SIDE * inputs + input, 2 * inputs);
                _tile_dpbf16ps(2, 5, 6);
                if (WIDE) _tile_dpbf16ps(3, 5, 7);
            }
        }
        _tile_stored(0, sums, 64);
        put_tile(sums, task, column, 0);
        if (WIDE) _tile_stored(1, sums, 64);
        if (WIDE) put_tile(sums, task, column, SIDE);
        if (!both) continue;
        _tile_stored(2, sums, 64);
        put_tile(sums, task, column + SIDE, 0);
        if (WIDE) _tile_stored(3, sums, 64);
        if (WIDE) put_tile(sums, task, column + SIDE, SIDE);
    }
}

inline void convolve(const Shape& shape, const Task& task) {
    shape.panel > SIDE ? convolve_panel<true>(shape, task) : convolve_panel<false>(shape, task);
}

}  // namespace amx_bf16
#pragma GCC pop_options

namespace {

Kernel kernel_of(int64_t kind) {
    switch (kind) {
        case AVX2: return avx2::convolve;
        case AVX512: return avx512::convolve;
        case AVX512_BF16: return avx512_bf16::convolve;
        default: return amx_bf16::convolve;
    }
}

// Around the work of one thread. Tiles in use make every switch of threads dearer.
void prepare(const Shape& shape) {
    if (shape.kind == AMX_BF16) amx_bf16::configure(amx_bf16::depth_of(shape));
}

void finish(const Shape& shape) {
    if (shape.kind == AMX_BF16) amx_bf16::release();
}

int64_t best_kind(bool halves) {
    __builtin_cpu_init();
    if (!halves) {
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
            return AVX512;
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? AVX2 : 0;
    }
    constexpr int64_t ASK_FOR_TILES = 0x1023, TILE_DATA = 18;
    if (__builtin_cpu_supports("amx-bf16") && !syscall(SYS_arch_prctl, ASK_FOR_TILES, TILE_DATA)) return AMX_BF16;
    // Intel's take as long for bfloat16 as for twice as many float32.
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_is("amd") ? AVX512_BF16 : 0;
}

}  // namespace
