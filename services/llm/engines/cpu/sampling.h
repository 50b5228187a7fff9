// How a token is drawn from logits: repetition penalty, temperature, top-k, top-p, draw, as services/llm/sampling.py says.
// Of the draws before, only their ids count: another process that is given them draws the same from there on.

struct Sampling {
    int64_t max_tokens, min_tokens, top_k;
    double temperature, top_p, repetition_penalty;
    uint64_t seed;
};

// The steps and the mixing of SplitMix64 (Steele, Lea, Flood 2014), as random_bits of services/llm/sampling.py.
constexpr uint64_t GOLDEN = 0x9e3779b97f4a7c15;

inline uint64_t mixed(uint64_t bits) {
    bits = (bits ^ bits >> 30) * 0xbf58476d1ce4e5b9;
    bits = (bits ^ bits >> 27) * 0x94d049bb133111eb;
    return bits ^ bits >> 31;
}

inline uint64_t random_bits(uint64_t seed, uint64_t position) { return mixed(mixed(seed) + (position + 1) * GOLDEN); }

// Columns are places among the ids that may be drawn.
class Sampler {
public:
    // `stops`: columns that end the sequence; `drawn`: how many tokens it has drawn before.
    Sampler(const Sampling& sampling, std::vector<int64_t> stops, size_t columns, int64_t drawn)
        : sampling(sampling), stops(std::move(stops)), seen(columns), drawn(drawn) {}

    // Counts for the repetition penalty.
    void saw(size_t column) { seen[column] = true; }

    // Changes `logits` [columns].
    size_t draw(float* logits) {
        penalise(logits);
        if (drawn < sampling.min_tokens)
            for (const int64_t stop : stops) logits[stop] = -INFINITY;
        const size_t column = sampling.temperature == 0.0 ? best(logits) : thrown(logits);
        saw(column);
        drawn++;
        return column;
    }

private:
    const Sampling sampling;
    const std::vector<int64_t> stops;
    std::vector<bool> seen;
    int64_t drawn;
    std::vector<std::pair<float, size_t>> candidates;

    void penalise(float* logits) const {
        const float penalty = float(sampling.repetition_penalty);
        if (penalty == 1.0f) return;
        for (size_t column = 0; column < seen.size(); column++)
            if (seen[column]) logits[column] *= logits[column] > 0.0f ? 1.0f / penalty : penalty;
    }

    size_t best(const float* logits) const { return std::max_element(logits, logits + seen.size()) - logits; }

    // The top-k, as pairs of a negative logit and its column.
    void choose(const float* logits) {
        const size_t count = seen.size(), kept = sampling.top_k ? std::min<size_t>(sampling.top_k, count) : count;
        float least = -INFINITY;
        candidates.clear();
        for (size_t column = 0; column < count; column++) {
            if (!(logits[column] > least)) continue;
            candidates.emplace_back(-logits[column], column);
            if (candidates.size() == 2 * kept) least = shorten(kept);
        }
        if (candidates.size() > kept) shorten(kept);
    }

    // To the best `kept`; the least of their logits.
    float shorten(size_t kept) {
        std::nth_element(candidates.begin(), candidates.begin() + kept - 1, candidates.end());
        candidates.resize(kept);
        return -candidates.back().first;
    }

    size_t thrown(const float* logits) {
        choose(logits);
        // Nothing but stops too early, or no numbers.
        if (candidates.empty()) return best(logits);
        // The likeliest first; ties by their place.
        std::sort(candidates.begin(), candidates.end());
        std::vector<double> sums;
        double sum = 0.0;
        for (const auto& [negative, column] : candidates)
            sums.push_back(sum += std::exp((double(candidates[0].first) - negative) / sampling.temperature));
        const auto last = std::lower_bound(sums.begin(), sums.end(), sampling.top_p * sum);
        const size_t count = std::min<size_t>(last - sums.begin() + 1, sums.size());
        const double throw_ = double(random_bits(sampling.seed, drawn) >> 11) * 0x1p-53 * sums[count - 1];
        const size_t place = std::upper_bound(sums.begin(), sums.begin() + count, throw_) - sums.begin();
        return candidates[std::min(place, count - 1)].second;
    }
};
