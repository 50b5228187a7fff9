// The instruction sets of x86, each as products.h and attention.h want it.

#include <immintrin.h>

// Taken as unsigned, the weights are larger by this.
#define UNSIGNED_WEIGHTS constexpr float ZERO = 128.0f;

#define VECTORS_OF_8                                                                                \
    VECTORS_OF(8)                                                                                   \
    UNSIGNED_WEIGHTS                                                                                \
    inline Floats widen(const uint16_t* halves) {                                                   \
        return Floats(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves))));  \
    }

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")
namespace avx512_vnni {
VECTORS_OF(16)
UNSIGNED_WEIGHTS
inline Ints dot(Ints sums, Ints u8, Ints s8) { return Ints(_mm512_dpbusd_epi32(__m512i(sums), __m512i(u8), __m512i(s8))); }
inline Floats widen(const uint16_t* halves) {
    return Floats(_mm512_maskz_cvtph_ps(-1, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves))));
}
#include "products.h"

#include "attention.h"
constexpr Kernel KERNEL{quantize, compute, attend<MOST_HEADS>};
}  // namespace avx512_vnni
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,avxvnni")
namespace avx_vnni {
VECTORS_OF_8
inline Ints dot(Ints sums, Ints u8, Ints s8) {
    return Ints(_mm256_dpbusd_avx_epi32(__m256i(sums), __m256i(u8), __m256i(s8)));
}
#include "products.h"

#include "attention.h"
constexpr Kernel KERNEL{quantize, compute, attend<MOST_HEADS>};
}  // namespace avx_vnni
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
namespace avx2 {
VECTORS_OF_8
// The bytes of even and of odd places as 16 bits: sums of their products overflow nothing.
inline Ints dot(Ints sums, Ints u8, Ints s8) {
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(__m256i(u8), _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(__m256i(s8), 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(__m256i(u8), 8), _mm256_srai_epi16(__m256i(s8), 8));
    return sums + Ints(even) + Ints(odd);
}
#include "products.h"

#include "attention.h"
constexpr Kernel KERNEL{quantize, compute, attend<MOST_HEADS>};
}  // namespace avx2
#pragma GCC pop_options

namespace {

std::vector<Set> sets() {
    __builtin_cpu_init();
    return {
        {AVX512_VNNI, __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl"), avx512_vnni::KERNEL},
        {AVX_VNNI, __builtin_cpu_supports("avxvnni") > 0, avx_vnni::KERNEL},
        {AVX2, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"),
         avx2::KERNEL},
    };
}

__attribute__((target("f16c"))) uint16_t narrow(float value) { return _cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT); }

}  // namespace
