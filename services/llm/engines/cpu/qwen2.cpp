// Qwen2 in 8 bits: one call of `voxline_step` draws a token for each sequence, or takes in a part of its
// prompt. A token's results are summed in one order, so they depend neither on what else is computed nor on the threads.
//
// Matrices [N, K] lie in blocks of 32 rows: u8 [K / 4, 32, 4], values + 128; the rows' scales f32 [32]; their biases f32
// [32]. The last block is filled up. Weights in order, for each layer: norm f32 [K]; query, key and value as one matrix;
// output; norm; gate and up, block by block in turn; down; behind the layers: norm; the rows of the head that may be drawn.
// Embeddings: i8 [vocabulary, K], scales f32 [vocabulary].

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace {

constexpr size_t GROUP = 32, BLOCK = 32, KEYS = 16, MOST_HEADS = 8;
// Of a product, for each thread: few, because a thread asks memory for the next block ahead.
constexpr size_t PIECES = 2;

// Rows of activations, [count, width] int8; scales [count, groups]. offsets [count]: what a product is too large by.
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

// Keys and values of one head, as float16: those of `count` tokens.
struct Seen {
    const uint16_t *keys, *values;
    size_t count, head;

    size_t padded() const { return (count + KEYS - 1) / KEYS * KEYS; }
};

struct Kernel {
    void (*quantize)(const float* x, const float* norm, float epsilon, Quantized& rows);
    void (*compute)(const Product& product, size_t block);
    void (*attend)(size_t heads, const Seen& seen, const float* queries, float* scores, float* out);
};

enum Kind { BEST, AVX2, AVX_VNNI, AVX512_VNNI, NEON, NEON_DOT };

// `there`: whether this CPU has its instructions.
struct Set {
    int64_t kind;
    bool there;
    Kernel kernel;
};

#define VECTORS_OF(WIDTH)                                                                 \
    constexpr size_t LANES = WIDTH;                                                       \
    typedef float Floats __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));  \
    typedef int32_t Ints __attribute__((vector_size(WIDTH * 4), aligned(4), may_alias));  \
    typedef int8_t Bytes __attribute__((vector_size(WIDTH), aligned(1), may_alias));

}  // namespace

// `sets`, the best first, and `narrow`, a float to 16 bits.
#ifdef __aarch64__
#include "aarch64.h"
#else
#include "x86.h"
#endif
#include "pool.h"
#include "sampling.h"

namespace {

// The set that is asked for, or the best; its kind is -1 where this CPU has none such.
Set set_of(int64_t wanted) {
    for (const Set& set : sets())
        if (set.there && (wanted == BEST || wanted == set.kind)) return set;
    return {-1, false, {}};
}

struct Shape {
    int64_t layers, width, heads, key_heads, head, middle, vocabulary, drawable, threads, kind;
    double epsilon, theta;

    size_t query_width() const { return heads * head; }
    size_t key_width() const { return key_heads * head; }
    // Query, key and value together.
    size_t projected() const { return query_width() + 2 * key_width(); }
};

// One sequence: the ids that are still to be computed, and float16 keys and values of those that are,
// [layers, 2, key heads, capacity, head].
struct Sequence {
    Sampler sampler;
    std::vector<int64_t> pending;
    size_t taken = 0, length = 0, capacity;
    std::unique_ptr<uint16_t[]> cache;

    size_t left() const { return pending.size() - taken; }
};

class Model {
public:
    Model(const Shape& shape, const uint8_t* weights, const int8_t* embeddings, const float* scales, const int64_t* drawable)
        : shape(shape), weights(weights), embeddings(embeddings), scales(scales), kernel(set_of(shape.kind).kernel),
          drawable(drawable, drawable + shape.drawable), columns(shape.vocabulary, -1), pool(shape.threads) {
        for (int64_t column = 0; column < shape.drawable; column++) columns[drawable[column]] = column;
        for (int64_t i = 0; i < shape.head / 2; i++)
            frequencies.push_back(float(std::pow(shape.theta, -2.0 * double(i) / double(shape.head))));
    }

    // The last `drawn` ids of the prompt are such that the sequence has drawn before.
    Sequence* open(const Sampling& sampling, const int64_t* prompt, size_t count, size_t drawn, const int64_t* stops,
                   size_t stop_count) {
        std::vector<int64_t> ends;
        for (size_t i = 0; i < stop_count; i++)
            if (columns[stops[i]] >= 0) ends.push_back(columns[stops[i]]);
        const size_t capacity = (count - drawn + sampling.max_tokens + KEYS - 1) / KEYS * KEYS;
        const size_t values = shape.layers * 2 * shape.key_width() * capacity;
        auto* sequence = new Sequence{Sampler(sampling, std::move(ends), drawable.size(), drawn),
                                      std::vector<int64_t>(prompt, prompt + count), 0, 0, capacity,
                                      std::unique_ptr<uint16_t[]>(new uint16_t[values])};
        for (const int64_t id : sequence->pending)
            if (columns[id] >= 0) sequence->sampler.saw(columns[id]);
        return sequence;
    }

    // One token of each sequence that draws, and up to `room` of the prompts, first come first served. drawn [count]: ids,
    // or -1 for a sequence whose prompt is not computed yet.
    void step(Sequence* const* sequences, size_t count, size_t room, int64_t* drawn) {
        tokens.clear();
        last.clear();
        for (size_t i = 0; i < count; i++) {
            Sequence& sequence = *sequences[i];
            const size_t taken = sequence.left() == 1 ? 1 : std::min(sequence.left(), room);
            if (sequence.left() > 1) room -= taken;
            for (size_t k = 0; k < taken; k++) tokens.push_back({&sequence, sequence.length++, sequence.pending[sequence.taken++]});
            drawn[i] = -1;
            if (taken && !sequence.left()) last.push_back({i, tokens.size() - 1});
        }
        if (tokens.empty()) return;
        compute();
        for (size_t row = 0; row < last.size(); row++) {
            Sequence& sequence = *sequences[last[row].sequence];
            const int64_t id = drawable[sequence.sampler.draw(logits.data() + row * drawable.size())];
            sequence.pending.assign(1, id);
            sequence.taken = 0;
            drawn[last[row].sequence] = id;
        }
    }

    const float* scores() const { return logits.data(); }

private:
    struct Token {
        Sequence* sequence;
        size_t position;
        int64_t id;
    };
    struct Last {
        size_t sequence, row;
    };

    const Shape shape;
    const uint8_t* const weights;
    const int8_t* const embeddings;
    const float* const scales;
    const Kernel kernel;
    const std::vector<int64_t> drawable;
    // By id: its place among the drawable ones, or -1.
    std::vector<int64_t> columns;
    std::vector<float> frequencies;
    Pool pool;

    std::vector<Token> tokens;
    std::vector<Last> last;
    const uint8_t* next = nullptr;
    Quantized quantized;
    // [tokens, ...]
    std::vector<float> hidden, projected, attended, gated, cosines, sines, logits;

    // Takes x [count, width] as it is, or behind the norm that comes next in the weights.
    void take(const std::vector<float>& x, size_t width, bool normed) {
        quantized.resize(tokens.size(), width);
        kernel.quantize(x.data(), normed ? reinterpret_cast<const float*>(next) : nullptr, float(shape.epsilon), quantized);
        if (normed) next += width * sizeof(float);
    }

    // What was taken, with the matrix that comes next; added to `out` or in its place.
    void multiply(std::vector<float>& out, size_t width, bool gate, bool add) {
        out.resize(tokens.size() * width);
        const Product product{quantized, next, gate, add ? out.data() : nullptr, out.data(), width};
        const size_t blocks = product.count(), pieces = std::min<size_t>(blocks, PIECES * shape.threads);
        pool.over(pieces, [&](size_t piece) {
            const size_t end = blocks * (piece + 1) / pieces;
            for (size_t block = blocks * piece / pieces; block < end; block++) kernel.compute(product, block);
        });
        next += product.bytes();
    }

    // Logits [last, drawable].
    void compute() {
        next = weights;
        embed();
        turn();
        for (int64_t layer = 0; layer < shape.layers; layer++) {
            take(hidden, shape.width, true);
            multiply(projected, shape.projected(), false, false);
            remember(layer);
            // Of the others nothing is wanted but their keys and values.
            if (layer == shape.layers - 1) keep_last();
            if (tokens.empty()) return;
            attend(layer);
            take(attended, shape.query_width(), false);
            multiply(hidden, shape.width, false, true);
            take(hidden, shape.width, true);
            multiply(gated, shape.middle, true, false);
            take(gated, shape.middle, false);
            multiply(hidden, shape.width, false, true);
        }
        take(hidden, shape.width, true);
        multiply(logits, drawable.size(), false, false);
    }

    void embed() {
        hidden.resize(tokens.size() * shape.width);
        for (size_t row = 0; row < tokens.size(); row++) {
            const int64_t id = tokens[row].id;
            for (int64_t i = 0; i < shape.width; i++)
                hidden[row * shape.width + i] = scales[id] * embeddings[id * shape.width + i];
        }
    }

    void turn() {
        const size_t half = frequencies.size();
        cosines.resize(tokens.size() * half);
        sines.resize(tokens.size() * half);
        for (size_t row = 0; row < tokens.size(); row++)
            for (size_t i = 0; i < half; i++) {
                const float angle = float(tokens[row].position) * frequencies[i];
                cosines[row * half + i] = std::cos(angle);
                sines[row * half + i] = std::sin(angle);
            }
    }

    // Rotary embedding of one head, [head], whose halves are pairs.
    void rotate(float* head, size_t row) const {
        const size_t half = frequencies.size();
        for (size_t i = 0; i < half; i++) {
            const float cosine = cosines[row * half + i], sine = sines[row * half + i];
            const float first = head[i], second = head[half + i];
            head[i] = first * cosine - second * sine;
            head[half + i] = second * cosine + first * sine;
        }
    }

    uint16_t* keys(const Sequence& sequence, size_t layer, size_t head) const {
        return sequence.cache.get() + (2 * layer * shape.key_heads + head) * sequence.capacity * shape.head;
    }

    uint16_t* values(const Sequence& sequence, size_t layer, size_t head) const {
        return keys(sequence, layer, head) + shape.key_width() * sequence.capacity;
    }

    // Turns queries and keys; puts keys and values into the caches.
    void remember(size_t layer) {
        const size_t size = shape.head;
        for (size_t row = 0; row < tokens.size(); row++) {
            const auto& [sequence, position, id] = tokens[row];
            float* head = projected.data() + row * shape.projected();
            for (int64_t h = 0; h < shape.heads + shape.key_heads; h++) rotate(head + h * size, row);
            head += shape.query_width();
            for (int64_t h = 0; h < shape.key_heads; h++, head += size) {
                uint16_t* block = keys(*sequence, layer, h) + position / KEYS * KEYS * size + position % KEYS;
                uint16_t* value = values(*sequence, layer, h) + position * size;
                for (size_t i = 0; i < size; i++) {
                    block[i * KEYS] = narrow(head[i]);
                    value[i] = narrow(head[shape.key_width() + i]);
                }
            }
        }
    }

    void attend(size_t layer) {
        const size_t group = shape.heads / shape.key_heads, pairs = tokens.size() * shape.key_heads;
        attended.resize(tokens.size() * shape.query_width());
        pool.over(pairs, [&](size_t pair) {
            const size_t row = pair / shape.key_heads, head = pair % shape.key_heads;
            const auto& [sequence, position, id] = tokens[row];
            const Seen seen{keys(*sequence, layer, head), values(*sequence, layer, head), position + 1, size_t(shape.head)};
            static thread_local std::vector<float> scores;
            scores.resize(MOST_HEADS * seen.padded());
            const size_t first = head * group * shape.head;
            kernel.attend(group, seen, projected.data() + row * shape.projected() + first, scores.data(),
                          attended.data() + row * shape.query_width() + first);
        });
    }

    void keep_last() {
        for (size_t row = 0; row < last.size(); row++) {
            const size_t from = last[row].row;
            tokens[row] = tokens[from];
            std::copy_n(hidden.begin() + from * shape.width, shape.width, hidden.begin() + row * shape.width);
            std::copy_n(projected.begin() + from * shape.projected(), shape.projected(),
                        projected.begin() + row * shape.projected());
        }
        tokens.resize(last.size());
    }
};

}  // namespace

extern "C" {

// See set_of.
int64_t voxline_kind(int64_t wanted) { return set_of(wanted).kind; }

// All that is given must outlive the model, but for `drawable`.
Model* voxline_model(
    const Shape* shape, const uint8_t* weights, const int8_t* embeddings, const float* scales, const int64_t* drawable) {
    return new Model(*shape, weights, embeddings, scales, drawable);
}

Sequence* voxline_open(Model* model, const Sampling* sampling, const int64_t* prompt, int64_t count, int64_t drawn,
                       const int64_t* stops, int64_t stop_count) {
    return model->open(*sampling, prompt, count, drawn, stops, stop_count);
}

void voxline_step(Model* model, Sequence* const* sequences, int64_t count, int64_t room, int64_t* drawn) {
    model->step(sequences, count, room, drawn);
}

// Of the last step, [sequences that drew, ids that may be drawn], with their repetition penalties.
const float* voxline_logits(const Model* model) { return model->scores(); }

void voxline_close(Sequence* sequence) { delete sequence; }

void voxline_free(Model* model) { delete model; }

}  // extern "C"
