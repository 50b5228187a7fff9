// The instruction sets of 64-bit ARM, each as products.h and attention.h want it.

#include <arm_neon.h>
#include <sys/auxv.h>

// Weights are made signed as they are read, so that nothing is added to a product.
#define VECTORS_OF_4                                                                      \
    VECTORS_OF(4)                                                                         \
    constexpr float ZERO = 0.0f;                                                          \
    inline int8x16_t centred(Ints u8) { return int8x16_t(u8 ^ int32_t(0x80808080)); }     \
    inline Floats widen(const uint16_t* halves) {                                         \
        return Floats(vcvt_f32_f16(vld1_f16(reinterpret_cast<const __fp16*>(halves))));   \
    }

#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
namespace neon_dot {
VECTORS_OF_4
inline Ints dot(Ints sums, Ints u8, Ints s8) { return Ints(vdotq_s32(int32x4_t(sums), centred(u8), int8x16_t(s8))); }
#include "products.h"

#include "attention.h"
constexpr Kernel KERNEL{quantize, compute, attend<MOST_HEADS>};
}  // namespace neon_dot
#pragma GCC pop_options

namespace neon {
VECTORS_OF_4
// Sums of two products fit 16 bits: neither factor is -128.
inline Ints dot(Ints sums, Ints u8, Ints s8) {
    const int8x16_t weights = centred(u8), factors = int8x16_t(s8);
    const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(factors)), high = vmull_high_s8(weights, factors);
    return Ints(vpadalq_s16(int32x4_t(sums), vpaddq_s16(low, high)));
}
#include "products.h"

#include "attention.h"
constexpr Kernel KERNEL{quantize, compute, attend<MOST_HEADS>};
}  // namespace neon

namespace {

std::vector<Set> sets() {
    return {{NEON_DOT, (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0, neon_dot::KERNEL}, {NEON, true, neon::KERNEL}};
}

uint16_t narrow(float value) {
    const __fp16 half = value;
    uint16_t bits;
    std::memcpy(&bits, &half, sizeof(bits));
    return bits;
}

}  // namespace
