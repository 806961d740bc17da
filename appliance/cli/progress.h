// What a person sees on standard error while a command works: one line for each phase, with a spinner or a percentage while it lasts.
//
// On a terminal the current line is redrawn; elsewhere (a file, a pipe, CI) each line is written once, when its phase ends. Results do not go
// here: they belong on standard output.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

namespace keymeld::cli {

/// Thread rule: the executor's thread only.
class Progress {
  public:
    enum class Style {
        Shown,
        Silent, ///< measures, writes nothing
    };
    Progress(boost::asio::any_io_executor executor, Style style);
    /// Ends an open phase as failed.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    /// A line without a phase.
    void line(std::string_view text);
    /// Begins a phase; an open one ends as done().
    void begin(std::string_view title);
    /// What the open phase is doing now (terminals only).
    void at(std::string_view what);
    /// How far the open phase is (terminals only).
    void part(std::uint64_t done, std::uint64_t of);
    /// A line that belongs to the open phase; written when the phase ends.
    void note(std::string_view text);
    /// The phase succeeded; `result` stands behind its title.
    void done(std::string_view result = {});
    void failed();

    /// Title and duration of every phase that was done, in order.
    const std::vector<std::pair<std::string, std::chrono::nanoseconds>>& timings() const;

  private:
    struct Impl;
    std::shared_ptr<Impl> m_impl;
};

/// "12.3 ms", "1.25 s".
std::string duration_text(std::chrono::nanoseconds time);

} // namespace keymeld::cli
