// Adds the time that a scope takes to a total: for counters of where time goes.
#pragma once

#include <chrono>

namespace keymeld {

class Stopwatch {
  public:
    explicit Stopwatch(std::chrono::nanoseconds& total) : m_total(total), m_began(std::chrono::steady_clock::now()) {}
    ~Stopwatch() { m_total += std::chrono::steady_clock::now() - m_began; }
    Stopwatch(const Stopwatch&) = delete;
    Stopwatch& operator=(const Stopwatch&) = delete;

  private:
    std::chrono::nanoseconds& m_total;
    std::chrono::steady_clock::time_point m_began;
};

} // namespace keymeld
