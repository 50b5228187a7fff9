// Threads that share the pieces of one loop at a time. Whoever comes late finds nothing left to do: nobody waits for a
// thread that the system has not woken or runs elsewhere, but for a piece that it has begun.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

inline void rest() {
#ifdef __aarch64__
    asm volatile("yield");
#else
    __builtin_ia32_pause();
#endif
}

class Pool {
public:
    explicit Pool(size_t threads) {
        for (size_t i = 1; i < threads; i++) helpers.emplace_back([this] { help(); });
    }

    ~Pool() {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            stopping = true;
        }
        wake.notify_all();
        for (std::thread& helper : helpers) helper.join();
    }

    // each(i) for i below `count`, in any order and any thread; returns when all are done.
    template <typename Each>
    void over(size_t count, const Each& each) {
        if (helpers.empty() || count < 2) {
            for (size_t i = 0; i < count; i++) each(i);
            return;
        }
        task = {[](const void* context, size_t i) { (*static_cast<const Each*>(context))(i); }, &each, count};
        unfinished.store(count);
        left.store(((left.load() >> 32) + 1) << 32 | count);
        if (asleep.load()) {
            { const std::lock_guard<std::mutex> lock(mutex); }
            wake.notify_all();
        }
        work();
        while (unfinished.load(std::memory_order_acquire)) rest();
    }

private:
    struct Task {
        void (*call)(const void* context, size_t i);
        const void* context;
        size_t count;
    };

    // How often a helper looks for a task before it sleeps: about as long as what lies between two tasks of a step.
    static constexpr int LOOKS = 2000;

    Task task{};
    // Pieces that nobody has taken, in the lower half; above it how many tasks there have been.
    std::atomic<uint64_t> left{0};
    std::atomic<size_t> unfinished{0};
    std::atomic<int> asleep{0};
    std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;
    std::vector<std::thread> helpers;

    bool waiting() const { return uint32_t(left.load()); }

    void work() {
        uint64_t seen = left.load();
        while (uint32_t(seen)) {
            if (!left.compare_exchange_weak(seen, seen - 1)) continue;
            // The task stays as it is while a piece of it is unfinished.
            task.call(task.context, task.count - uint32_t(seen));
            unfinished.fetch_sub(1, std::memory_order_release);
            seen = left.load();
        }
    }

    void help() {
        while (true) {
            for (int look = 0; look < LOOKS && !waiting(); look++) rest();
            if (!waiting()) {
                std::unique_lock<std::mutex> lock(mutex);
                asleep++;
                wake.wait(lock, [this] { return stopping || waiting(); });
                asleep--;
                if (stopping) return;
            }
            work();
        }
    }
};
