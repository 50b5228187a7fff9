// What the detokenizer computes on a CPU: see columns.h and convolution.h.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "columns.h"
#include "convolution.h"

extern "C" {

void voxline_join_f32(
    const Batch* batch, const Row* rows, const float* x, float* const* states, float* out, const Snake* snake) {
    join(*batch, rows, x, states, out, *snake);
}

void voxline_join_bf16(
    const Batch* batch, const Row* rows, const float* x, Bfloat16* const* states, Bfloat16* out, const Snake* snake) {
    join(*batch, rows, x, states, out, *snake);
}

void voxline_add(const Batch* batch, const Row* rows, const float* x, float* const* states, float* out) {
    add_joined(*batch, rows, x, states, out);
}

int64_t voxline_best_kind(int64_t halves) { return best_kind(halves); }

void voxline_convolve(const Shape* shape, const void* x, const void* weights, const float* bias, float* out) {
    convolve(*shape, x, weights, bias, out);
}

void voxline_depthwise(const Shape* shape, const float* x, const float* weights, const float* bias, float* out) {
    depthwise(*shape, x, weights, bias, out);
}

}  // extern "C"
