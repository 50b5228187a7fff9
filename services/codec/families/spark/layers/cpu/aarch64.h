// The kernel of 64-bit ARM.

#define LANES 4
namespace neon {
typedef float Floats __attribute__((vector_size(16), aligned(4), may_alias));
inline Floats multiply_add(Floats sum, float x, Floats weights) { return sum + x * weights; }
#include "tile.h"
}  // namespace neon
#undef LANES

namespace {

Kernel kernel_of(int64_t) { return neon::convolve; }

void prepare(const Shape&) {}

void finish(const Shape&) {}

int64_t best_kind(bool halves) { return halves ? 0 : NEON; }

}  // namespace
