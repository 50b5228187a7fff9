// The stateful layers in one pass over memory: what a stream has kept is joined with its new columns, Snake is applied
// on the way, and what the next step needs is kept. Columns lie one after the other, each with its channels side by
// side.

// Made for several kinds of CPU, chosen when the library is loaded; those of 64-bit ARM all have vectors.
#ifdef __aarch64__
#define FOR_CPUS
#else
#define FOR_CPUS __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif

namespace {

struct Bfloat16 {
    uint16_t bits;
};

inline void store(float& target, float value) { target = value; }

// To the nearest, ties to even.
inline void store(Bfloat16& target, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    target.bits = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// sin(angle)^2, which repeats with pi: an odd polynomial of degree 9 on [-pi/2, pi/2], within 5e-9.
inline float squared_sine(float angle) {
    const float turns = __builtin_rintf(angle * 0.318309886f);
    // pi in two parts: the product with the first is exact.
    const float r = (angle - turns * 3.140625f) - turns * 9.67653589793e-4f;
    const float r2 = r * r;
    const float slope = ((2.60005418e-6f * r2 - 1.98066149e-4f) * r2 + 8.33301729e-3f) * r2 - 1.66666571e-1f;
    const float sine = r + r * r2 * slope;
    return sine * sine;
}

template <typename T>
inline void snake_blocks(const float* x, T* y, int64_t values, const float* alpha, const float* inverse, int64_t period) {
    for (int64_t start = 0; start < values; start += period)
#pragma GCC ivdep
        for (int64_t i = 0; i < period; ++i) {
            const float value = x[start + i];
            store(y[start + i], value + squared_sine(alpha[i] * value) * inverse[i]);
        }
}

template <typename T>
inline void copy_values(const float* x, T* y, int64_t values) {
#pragma GCC ivdep
    for (int64_t i = 0; i < values; ++i) store(y[i], x[i]);
}

FOR_CPUS void snake_of(const float* x, float* y, int64_t n, const float* alpha, const float* inverse, int64_t period) {
    snake_blocks(x, y, n, alpha, inverse, period);
}
FOR_CPUS void snake_of(const float* x, Bfloat16* y, int64_t n, const float* alpha, const float* inverse, int64_t period) {
    snake_blocks(x, y, n, alpha, inverse, period);
}
FOR_CPUS void copy(const float* x, float* y, int64_t n) { copy_values(x, y, n); }
FOR_CPUS void copy(const float* x, Bfloat16* y, int64_t n) { copy_values(x, y, n); }
FOR_CPUS void add(const float* x, float* y, int64_t n) {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

// None without alpha. Alpha and its inverse of every channel, repeated up to a `period` that is a multiple of the vectors'
// lengths, so that a value is computed in the same way wherever it stands.
struct Snake {
    const float* alpha;
    const float* inverse;
    int64_t period;

    template <typename T>
    void apply(const float* x, T* y, int64_t values) const {
        if (!alpha) return copy(x, y, values);
        const int64_t whole = values / period * period;
        snake_of(x, y, whole, alpha, inverse, period);
        if (whole == values) return;
        std::vector<float> rest(period);
        std::vector<T> made(period);
        std::copy(x + whole, x + values, rest.begin());
        snake_of(rest.data(), made.data(), period, alpha, inverse, period);
        std::copy_n(made.begin(), values - whole, y + whole);
    }
};

// Of one row: columns that it has kept, new ones, zeros behind them, and how many of the columns before `settled` are
// kept for the next step.
struct Row {
    int64_t held, fresh, tail, settled, kept;
};

template <typename T>
void join_row(const Row& row, int64_t channels, int64_t span, int64_t width, const float* x, T* context, T* out,
              const Snake& snake) {
    const int64_t held = row.held * channels, fresh = row.fresh * channels;
    std::copy_n(context + (span - row.held) * channels, held, out);
    snake.apply(x, out + held, fresh);
    std::memset(static_cast<void*>(out + held + fresh), 0, (width * channels - held - fresh) * sizeof(T));
    std::copy_n(out + (row.settled - row.kept) * channels, row.kept * channels, context + (span - row.kept) * channels);
}

void add_row(const Row& row, int64_t channels, int64_t span, int64_t width, const float* x, float* context, float* out) {
    const int64_t held = std::min(row.held, width), fresh = std::min(row.fresh, width - held);
    add(context + (span - row.held) * channels, out, held * channels);
    add(x, out + held * channels, fresh * channels);
    // What is kept begins at `start` of what was joined: with as many as `old` of the columns that were held before.
    const int64_t start = row.settled - row.kept, old = std::max<int64_t>(0, row.held - start);
    float* kept = context + (span - row.kept) * channels;
    std::memmove(kept, context + (span - old) * channels, old * channels * sizeof(float));
    std::copy_n(x + std::max<int64_t>(0, start - row.held) * channels, (row.kept - old) * channels, kept + old * channels);
}

// Of all rows: x [count, columns, channels] whose rows lie `stride` values apart, out [count, width, channels]; each
// row's context lies `offset` values behind the start of its stream's state. `alike`: the first of `rows` stands for all.
struct Batch {
    int64_t count, alike, channels, span, width, stride, offset, threads;
};

template <typename Each>
void over_rows(const Batch& batch, const Each& each) {
#pragma omp parallel for num_threads(batch.threads) if (batch.threads > 1 && batch.count > 1)
    for (int64_t b = 0; b < batch.count; ++b) each(b, batch.alike ? 0 : b);
}

template <typename T>
void join(const Batch& batch, const Row* rows, const float* x, T* const* states, T* out, const Snake& snake) {
    over_rows(batch, [&](int64_t b, int64_t row) {
        join_row(rows[row], batch.channels, batch.span, batch.width, x + b * batch.stride, states[b] + batch.offset,
                 out + b * batch.width * batch.channels, snake);
    });
}

void add_joined(const Batch& batch, const Row* rows, const float* x, float* const* states, float* out) {
    over_rows(batch, [&](int64_t b, int64_t row) {
        add_row(rows[row], batch.channels, batch.span, batch.width, x + b * batch.stride, states[b] + batch.offset,
                out + b * batch.width * batch.channels);
    });
}

}  // namespace

