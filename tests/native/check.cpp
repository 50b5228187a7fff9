// Runs what record.py has recorded through both C++ programs, with every instruction set that this machine has, and says
// how far off the results are. It fails where they are too far, or other tokens are drawn.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

extern "C" {
int64_t voxline_kind(int64_t wanted);
void* voxline_model(const void* shape, const uint8_t* weights, const int8_t* embeddings, const float* scales,
                    const int64_t* drawable);
void* voxline_open(void* model, const void* sampling, const int64_t* prompt, int64_t count, int64_t drawn,
                   const int64_t* stops, int64_t stop_count);
void voxline_step(void* model, void* const* sequences, int64_t count, int64_t room, int64_t* drawn);
const float* voxline_logits(const void* model);
void voxline_close(void* sequence);
void voxline_free(void* model);

int64_t voxline_best_kind(int64_t halves);
void voxline_convolve(const void* shape, const void* x, const void* weights, const float* bias, float* out);
void voxline_depthwise(const void* shape, const float* x, const float* weights, const float* bias, float* out);
void voxline_join_f32(const void* batch, const void* rows, const float* x, float* const* states, float* out,
                      const void* snake);
void voxline_join_bf16(const void* batch, const void* rows, const float* x, uint16_t* const* states, uint16_t* out,
                       const void* snake);
void voxline_add(const void* batch, const void* rows, const float* x, float* const* states, float* out);
}

namespace {

// As in record.py.
enum Section { LLM = 1, CONVOLVE, DEPTHWISE, JOIN_F32, JOIN_BF16, ADD };

// How far results of some units may be off; logits in 8 bits, whose activations may be rounded to a neighbour.
constexpr float NEAR = 1e-5f, NEAR_BF16 = 7e-2f, NEAR_LOGITS = 5e-2f;
// Kinds of voxline_kind, and those of voxline_convolve that read panels of 8 and 16 outputs.
constexpr int64_t LAST_KIND = 5, AVX2 = 1, NEON = 5;
// Beside the tokens that are drawn, in one step.
constexpr int64_t PROMPT_TOKENS = 7;

class Recorded {
public:
    explicit Recorded(const char* path) : file(path, std::ios::binary) {}

    // Of the next section; 0 behind the last.
    int64_t section() {
        int64_t value = 0;
        file.read(reinterpret_cast<char*>(&value), sizeof(value));
        return file ? value : 0;
    }

    template <typename T>
    std::vector<T> next() {
        const int64_t bytes = section();
        std::vector<T> values(bytes / sizeof(T));
        file.read(reinterpret_cast<char*>(values.data()), bytes);
        return values;
    }

private:
    std::ifstream file;
};

[[noreturn]] void fail(const std::string& what) {
    std::printf("%s: wrong\n", what.c_str());
    std::exit(1);
}

void compare(const std::string& what, const float* found, const std::vector<float>& expected, float most) {
    if (expected.empty()) fail(what);
    float worst = 0.0f;
    for (size_t i = 0; i < expected.size(); i++) {
        if (found[i] == expected[i]) continue;
        const float error = std::fabs(found[i] - expected[i]);
        if (!(error <= most)) fail(what + ", " + std::to_string(found[i]) + " for " + std::to_string(expected[i]));
        worst = std::max(worst, error);
    }
    std::printf("%s: %.1e\n", what.c_str(), worst);
}

std::vector<float> widened(const std::vector<uint16_t>& halves) {
    std::vector<float> values(halves.size());
    for (size_t i = 0; i < halves.size(); i++) {
        const uint32_t bits = uint32_t(halves[i]) << 16;
        std::memcpy(&values[i], &bits, sizeof(bits));
    }
    return values;
}

struct Job {
    std::vector<uint8_t> sampling;
    std::vector<int64_t> prompt, drawn, stops, ids;
    // [ids, drawable]
    std::vector<float> logits;

    explicit Job(Recorded& recorded)
        : sampling(recorded.next<uint8_t>()), prompt(recorded.next<int64_t>()), drawn(recorded.next<int64_t>()),
          stops(recorded.next<int64_t>()), ids(recorded.next<int64_t>()), logits(recorded.next<float>()) {
        prompt.insert(prompt.end(), drawn.begin(), drawn.end());
    }

    void* open(void* model) const {
        return voxline_open(model, sampling.data(), prompt.data(), prompt.size(), drawn.size(), stops.data(), stops.size());
    }
};

// All jobs together, to the end of each.
void generate(const std::string& what, void* model, const std::vector<Job>& jobs, size_t drawable) {
    std::vector<void*> sequences;
    std::vector<size_t> done(jobs.size());
    std::vector<std::vector<float>> logits(jobs.size());
    for (const Job& job : jobs) sequences.push_back(job.open(model));
    while (true) {
        std::vector<void*> live;
        std::vector<size_t> places;
        for (size_t i = 0; i < jobs.size(); i++)
            if (done[i] < jobs[i].ids.size()) live.push_back(sequences[i]), places.push_back(i);
        if (live.empty()) break;
        std::vector<int64_t> drawn(live.size());
        voxline_step(model, live.data(), live.size(), PROMPT_TOKENS, drawn.data());
        const float* row = voxline_logits(model);
        for (size_t i = 0; i < live.size(); i++) {
            if (drawn[i] < 0) continue;
            const size_t place = places[i];
            if (drawn[i] != jobs[place].ids[done[place]++]) fail(what + ", tokens");
            logits[place].insert(logits[place].end(), row, row + drawable);
            row += drawable;
        }
    }
    for (size_t i = 0; i < jobs.size(); i++) {
        compare(what + " job " + std::to_string(i), logits[i].data(), jobs[i].logits, NEAR_LOGITS);
        voxline_close(sequences[i]);
    }
}

void check_llm(Recorded& recorded) {
    auto shape = recorded.next<int64_t>();
    const auto weights = recorded.next<uint8_t>();
    const auto embeddings = recorded.next<int8_t>();
    const auto scales = recorded.next<float>();
    const auto drawable = recorded.next<int64_t>();
    const int64_t count = recorded.section();
    std::vector<Job> jobs;
    for (int64_t i = 0; i < count; i++) jobs.emplace_back(recorded);
    for (int64_t kind = 1; kind <= LAST_KIND; kind++)
        for (const int64_t threads : {1, 3}) {
            if (voxline_kind(kind) < 0) continue;
            shape[8] = threads;
            shape[9] = kind;
            void* model = voxline_model(shape.data(), weights.data(), embeddings.data(), scales.data(), drawable.data());
            const std::string name = "kind " + std::to_string(kind) + " threads " + std::to_string(threads);
            generate("llm " + name, model, jobs, drawable.size());
            voxline_free(model);
        }
}

void check_convolve(Recorded& recorded, bool depthwise) {
    auto shape = recorded.next<int64_t>();
    const auto x = recorded.next<float>(), weights = recorded.next<float>(), bias = recorded.next<float>();
    const auto expected = recorded.next<float>();
    shape[8] = voxline_best_kind(0) == NEON ? NEON : AVX2;
    for (const int64_t threads : {1, 3}) {
        shape[9] = threads;
        std::vector<float> out(expected.size());
        if (depthwise) voxline_depthwise(shape.data(), x.data(), weights.data(), bias.data(), out.data());
        else voxline_convolve(shape.data(), x.data(), weights.data(), bias.data(), out.data());
        compare(depthwise ? "depthwise" : "convolution", out.data(), expected, NEAR);
    }
}

struct Snake {
    const float* alpha;
    const float* inverse;
    int64_t period;
};

// What the operations do to columns and to the states of two streams.
template <typename T>
struct Joined {
    std::vector<int64_t> batch, rows;
    std::vector<float> x, alpha, inverse;
    std::vector<T> first, second, out, first_after, second_after, expected;

    explicit Joined(Recorded& recorded)
        : batch(recorded.next<int64_t>()), rows(recorded.next<int64_t>()), x(recorded.next<float>()),
          alpha(recorded.next<float>()), inverse(recorded.next<float>()), first(recorded.next<T>()),
          second(recorded.next<T>()), out(recorded.next<T>()), first_after(recorded.next<T>()),
          second_after(recorded.next<T>()), expected(recorded.next<T>()) {}

    template <typename Operation>
    void run(const Operation& operation) {
        T* const states[] = {first.data(), second.data()};
        const Snake snake{alpha.empty() ? nullptr : alpha.data(), inverse.data(), int64_t(alpha.size())};
        operation(batch.data(), rows.data(), x.data(), states, out.data(), &snake);
    }
};

void check_joined(const char* what, Joined<float> joined, bool adds) {
    joined.run([&](auto batch, auto rows, auto x, auto states, auto out, auto snake) {
        adds ? voxline_add(batch, rows, x, states, out) : voxline_join_f32(batch, rows, x, states, out, snake);
    });
    compare(what, joined.out.data(), joined.expected, NEAR);
    compare(std::string(what) + ", kept", joined.first.data(), joined.first_after, NEAR);
    compare(std::string(what) + ", kept", joined.second.data(), joined.second_after, NEAR);
}

void check_joined(Joined<uint16_t> joined) {
    joined.run(voxline_join_bf16);
    compare("join_bf16", widened(joined.out).data(), widened(joined.expected), NEAR_BF16);
    compare("join_bf16, kept", widened(joined.first).data(), widened(joined.first_after), NEAR_BF16);
    compare("join_bf16, kept", widened(joined.second).data(), widened(joined.second_after), NEAR_BF16);
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) return 2;
    Recorded recorded(arguments[1]);
    int64_t sections = 0;
    for (int64_t section; (section = recorded.section()); sections++) switch (section) {
            case LLM: check_llm(recorded); break;
            case CONVOLVE: check_convolve(recorded, false); break;
            case DEPTHWISE: check_convolve(recorded, true); break;
            case JOIN_F32: check_joined("join_f32", Joined<float>(recorded), false); break;
            case JOIN_BF16: check_joined(Joined<uint16_t>(recorded)); break;
            case ADD: check_joined("add", Joined<float>(recorded), true); break;
            default: fail("the recording");
        }
    std::printf("sections: %d, best kind: %d\n", int(sections), int(voxline_kind(0)));
    return sections ? 0 : 1;
}
