// Int8Layer: all that a transformer computes between two attentions, in 8 bits, as one OpenVINO operation, for CPUs with
// VNNI. OpenVINO's own 8-bit kernel waits for memory and multiplies in turn; this one reads weights as fast as memory gives
// them. One operation for so much, because OpenVINO takes 10 to 30 us about each that it does not know.
//
//   hidden += output(attended);  hidden += down(swish(gate(x)) * up(x)), x = norm(hidden);  projections of norm(hidden)
//
// Inputs: hidden f32 [..., K]; weights u8, one dimension; attended f32 [..., A], left out before the first attention.
// Outputs: hidden f32 [..., K], which is left out with `attended`; a projection f32 [..., N] for each of `widths`.
// Attributes: `widths`; `middle`: columns of gate and up; `epsilon` of the RMS norms; `lanes`: 32-bit values in a vector,
// 0 for what the CPU has.
// Weights: matrices [N, K] in blocks of 32 rows: u8 [K / 4, 32, 4], values + 128; the rows' scales f32 [32]; their biases
// f32 [32]. The last block of a matrix is filled up. In order: output; norm f32 [K]; gate and up, block by block in turn;
// down; norm f32 [K] and the projections, if there are any.

#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "openvino/core/extension.hpp"
#include "openvino/core/op_extension.hpp"
#include "openvino/op/op.hpp"
#include "tbb/parallel_for.h"
#include "tbb/task_arena.h"

namespace voxline {

constexpr size_t GROUP = 32, BLOCK = 32;
// What is added to weights, so that they are unsigned.
constexpr float ZERO = 128.0f;

// Rows of activations, [count, width] int8; scales [count, groups]. offsets [count]: what ZERO adds to a product.
struct Quantized {
    size_t count = 0, width = 0;
    std::vector<int8_t> codes;
    std::vector<float> scales, offsets;

    size_t groups() const { return width / GROUP; }
    // Of the weights that they are multiplied with.
    size_t block_bytes() const { return BLOCK * (width + 2 * sizeof(float)); }

    void resize(size_t new_count, size_t new_width) {
        count = new_count;
        width = new_width;
        codes.resize(count * width);
        scales.resize(count * groups());
        offsets.resize(count);
    }
};

// One output, [rows, columns].
struct Product {
    const Quantized& rows;
    const uint8_t* blocks;
    bool gated;
    const float* residual;
    float* out;
    size_t columns;

    size_t count() const { return (columns + BLOCK - 1) / BLOCK; }
    size_t bytes() const { return count() * rows.block_bytes() * (gated ? 2 : 1); }
};

struct Kernel {
    int64_t lanes;
    void (*quantize)(const float* x, const float* norm, float epsilon, Quantized& rows);
    void (*compute)(const Product& product, size_t block);
};

#define VECTORS_OF(LANES)                                                                 \
    typedef float Floats __attribute__((vector_size(LANES * 4), aligned(4), may_alias));  \
    typedef int32_t Ints __attribute__((vector_size(LANES * 4), aligned(4), may_alias));  \
    typedef int8_t Bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma")
extern "C" __m512 _ZGVeN16v_expf(__m512);  // glibc's libmvec
namespace avx512_vnni {
constexpr size_t LANES = 16;
VECTORS_OF(16)
inline Ints dot(Ints sums, Ints u8, Ints s8) { return Ints(_mm512_dpbusd_epi32(__m512i(sums), __m512i(u8), __m512i(s8))); }
inline Floats exponential(Floats x) { return Floats(_ZGVeN16v_expf(__m512(x))); }
#include "int8_products.h"
}  // namespace avx512_vnni
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma,avxvnni")
extern "C" __m256 _ZGVdN8v_expf(__m256);
namespace avx_vnni {
constexpr size_t LANES = 8;
VECTORS_OF(8)
inline Ints dot(Ints sums, Ints u8, Ints s8) {
    return Ints(_mm256_dpbusd_avx_epi32(__m256i(sums), __m256i(u8), __m256i(s8)));
}
inline Floats exponential(Floats x) { return Floats(_ZGVdN8v_expf(__m256(x))); }
#include "int8_products.h"
}  // namespace avx_vnni
#pragma GCC pop_options

// Null where the CPU has none of so many lanes. 0: its widest.
const Kernel* kernel(int64_t lanes) {
    __builtin_cpu_init();
    const bool wide = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vl");
    const bool narrow = __builtin_cpu_supports("avxvnni");
    if (wide && lanes != 8) return &avx512_vnni::KERNEL;
    if (narrow && lanes != 16) return &avx_vnni::KERNEL;
    return nullptr;
}

// Of all products of this process, where they have more threads than the rest of the graph.
std::unique_ptr<tbb::task_arena> arena;

template <typename Each>
void over_blocks(size_t count, const Each& each) {
    const auto run = [&] { tbb::parallel_for(size_t(0), count, each); };
    arena ? arena->execute(run) : run();
}

// The stages of one evaluation: each reads its weights and moves on.
class Evaluation {
public:
    Evaluation(const Kernel& kernel, float epsilon, const uint8_t* weights) : kernel(kernel), epsilon(epsilon), weights(weights) {}

    // Takes x [count, width] as it is, or behind the norm that comes next.
    void take(const float* x, size_t count, size_t width, bool normed) {
        rows.resize(count, width);
        kernel.quantize(x, normed ? reinterpret_cast<const float*>(weights) : nullptr, epsilon, rows);
        if (normed) weights += width * sizeof(float);
    }

    void multiply(float* out, size_t columns, bool gated, const float* residual) {
        const Product product{rows, weights, gated, residual, out, columns};
        over_blocks(product.count(), [&](size_t block) { kernel.compute(product, block); });
        weights += product.bytes();
    }

private:
    const Kernel& kernel;
    const float epsilon;
    const uint8_t* weights;
    static thread_local Quantized rows;
};

thread_local Quantized Evaluation::rows;

class Int8Layer : public ov::op::Op {
public:
    OPENVINO_OP("Int8Layer", "voxline");

    Int8Layer() = default;

    Int8Layer(const ov::OutputVector& inputs, const Int8Layer& other)
        : Op(inputs), widths(other.widths), middle(other.middle), epsilon(other.epsilon), lanes(other.lanes) {
        constructor_validate_and_infer_types();
    }

    void validate_and_infer_types() override {
        auto shape = get_input_partial_shape(0);
        size_t output = 0;
        if (attends()) set_output_type(output++, ov::element::f32, shape);
        for (const int64_t width : widths) {
            shape[shape.size() - 1] = width;
            set_output_type(output++, ov::element::f32, shape);
        }
    }

    std::shared_ptr<ov::Node> clone_with_new_inputs(const ov::OutputVector& inputs) const override {
        return std::make_shared<Int8Layer>(inputs, *this);
    }

    bool visit_attributes(ov::AttributeVisitor& visitor) override {
        visitor.on_attribute("widths", widths);
        visitor.on_attribute("middle", middle);
        visitor.on_attribute("epsilon", epsilon);
        visitor.on_attribute("lanes", lanes);
        return true;
    }

    bool has_evaluate() const override { return kernel(lanes) != nullptr; }

    bool evaluate(ov::TensorVector& outputs, const ov::TensorVector& inputs) const override {
        const size_t width = inputs[0].get_shape().back(), count = inputs[0].get_size() / width;
        const float* hidden = inputs[0].data<const float>();
        Evaluation evaluation(*kernel(lanes), epsilon, inputs[1].data<const uint8_t>());
        size_t output = 0;
        if (attends()) {
            static thread_local std::vector<float> gated;
            gated.resize(count * middle);
            float* changed = outputs[output++].data<float>();
            evaluation.take(inputs[2].data<const float>(), count, inputs[2].get_shape().back(), false);
            evaluation.multiply(changed, width, false, hidden);
            evaluation.take(changed, count, width, true);
            evaluation.multiply(gated.data(), middle, true, nullptr);
            evaluation.take(gated.data(), count, middle, false);
            evaluation.multiply(changed, width, false, changed);
            hidden = changed;
        }
        if (widths.empty()) return true;
        evaluation.take(hidden, count, width, true);
        for (const int64_t columns : widths)
            evaluation.multiply(outputs[output++].data<float>(), columns, false, nullptr);
        return true;
    }

private:
    bool attends() const { return get_input_size() > 2; }

    std::vector<int64_t> widths;
    int64_t middle = 0;
    float epsilon = 0.0f;
    int64_t lanes = 0;
};

}  // namespace voxline

// The lanes that an operation of so many gets on this CPU: 0 where it has no instructions for them.
extern "C" int64_t voxline_lanes(int64_t lanes) {
    const voxline::Kernel* kernel = voxline::kernel(lanes);
    return kernel ? kernel->lanes : 0;
}

// Of products from now on, when none is computed. 0: as many as OpenVINO has.
extern "C" void voxline_threads(int64_t threads) {
    voxline::arena = threads ? std::make_unique<tbb::task_arena>(int(threads)) : nullptr;
}

OPENVINO_CREATE_EXTENSIONS(std::vector<ov::Extension::Ptr>({std::make_shared<ov::OpExtension<voxline::Int8Layer>>()}));
