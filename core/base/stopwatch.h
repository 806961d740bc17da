// Counts the CPU time of scopes that are entered often: for counters of where time goes.
#pragma once

#include <chrono>
#include <ctime>

namespace keymeld {

/// CPU time of one thread in scopes of one kind. Asking for it is a system call, so every 17th scope is measured and counts for all;
/// the number is a prime, so that it does not fall into step with what repeats.
class BusyTime {
  public:
    std::chrono::nanoseconds total() const { return m_total; }

  private:
    friend class Stopwatch;
    static constexpr unsigned kOneOf = 17;
    std::chrono::nanoseconds m_total{0};
    unsigned m_scopes = 0;
};

/// Adds the scope that it lives in. Scopes of one BusyTime are not nested.
class Stopwatch {
  public:
    explicit Stopwatch(BusyTime& time) : m_time(time), m_measured(time.m_scopes++ % BusyTime::kOneOf == 0) {
        if (m_measured)
            m_began = now();
    }
    ~Stopwatch() {
        if (m_measured)
            m_time.m_total += BusyTime::kOneOf * (now() - m_began);
    }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

  private:
    static std::chrono::nanoseconds now() {
        timespec time{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
        return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
    }

    BusyTime& m_time;
    bool m_measured;
    std::chrono::nanoseconds m_began{0};
};

} // namespace keymeld
