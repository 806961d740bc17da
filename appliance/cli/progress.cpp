#include "appliance/cli/progress.h"

#include <unistd.h>

#include <cstdio>

#include <boost/asio/steady_timer.hpp>

namespace keymeld::cli {

using std::chrono::steady_clock;

std::string duration_text(std::chrono::nanoseconds time) {
    char text[32];
    const double ms = static_cast<double>(time.count()) / 1e6;
    if (ms < 1000)
        std::snprintf(text, sizeof text, "%.1f ms", ms);
    else
        std::snprintf(text, sizeof text, "%.2f s", ms / 1000);
    return text;
}

struct Progress::Impl {
    Impl(const boost::asio::any_io_executor& executor, Style chosen)
        : timer(executor), style(chosen), terminal(chosen == Style::Shown && ::isatty(STDERR_FILENO) == 1) {}

    static constexpr std::chrono::milliseconds kFrame{100};

    void write(const std::string& text) const {
        if (style == Style::Shown)
            std::fputs(text.c_str(), stderr);
    }
    void erase() {
        if (drawn)
            write("\r\033[K");
        drawn = false;
    }
    void draw() {
        if (!terminal || title.empty())
            return;
        constexpr std::string_view kSpinner = "|/-\\";
        std::string text = "\r\033[K";
        text += ' ';
        text += kSpinner[frame % kSpinner.size()];
        text += "  " + title;
        if (of > 0)
            text += "  " + std::to_string(done_part * 100 / of) + " %";
        if (!doing.empty())
            text += "  " + doing;
        write(text);
        std::fflush(stderr);
        drawn = true;
    }
    void close(std::string_view mark, std::string_view result) {
        erase();
        const auto took = steady_clock::now() - started;
        std::string text = std::string(mark) + "  " + title;
        text.resize(std::max<std::size_t>(text.size(), kTitleWidth), ' ');
        const std::string time = duration_text(took);
        if (time.size() < kTimeWidth)
            text.append(kTimeWidth - time.size(), ' ');
        text += time;
        if (!result.empty())
            text.append("   ").append(result);
        write(text + "\n");
        for (const std::string& entry : notes)
            write("      " + entry + "\n");
        timings.emplace_back(title, took);
        title.clear();
        doing.clear();
        notes.clear();
        done_part = of = 0;
        timer.cancel();
    }

    static constexpr std::size_t kTitleWidth = 30;
    static constexpr std::size_t kTimeWidth = 9;

    boost::asio::steady_timer timer;
    Style style;
    bool terminal;
    bool drawn = false;
    std::size_t frame = 0;
    std::string title; ///< empty: no phase is open
    std::string doing;
    std::vector<std::string> notes;
    std::uint64_t done_part = 0;
    std::uint64_t of = 0;
    steady_clock::time_point started;
    std::vector<std::pair<std::string, std::chrono::nanoseconds>> timings;
};

namespace {

template <class Impl> void animate(const std::shared_ptr<Impl>& impl) {
    impl->timer.expires_after(Impl::kFrame);
    impl->timer.async_wait([weak = std::weak_ptr<Impl>(impl)](const boost::system::error_code& error) {
        const auto alive = weak.lock();
        if (error || !alive || alive->title.empty())
            return;
        ++alive->frame;
        alive->draw();
        animate(alive);
    });
}

} // namespace

Progress::Progress(boost::asio::any_io_executor executor, Style style) : m_impl(std::make_shared<Impl>(executor, style)) {}
Progress::~Progress() { failed(); }

void Progress::line(std::string_view text) {
    m_impl->erase();
    m_impl->write(std::string(text) + "\n");
}

void Progress::begin(std::string_view title) {
    done();
    m_impl->title = title;
    m_impl->started = steady_clock::now();
    if (m_impl->terminal) {
        m_impl->draw();
        animate(m_impl);
    }
}

void Progress::at(std::string_view what) { m_impl->doing = what; }

void Progress::part(std::uint64_t done, std::uint64_t of) {
    m_impl->done_part = done;
    m_impl->of = of;
}

void Progress::note(std::string_view text) { m_impl->notes.emplace_back(text); }

void Progress::done(std::string_view result) {
    if (!m_impl->title.empty())
        m_impl->close(" ok", result);
}

void Progress::failed() {
    if (!m_impl->title.empty()) {
        m_impl->close(" !!", "failed");
        m_impl->timings.pop_back();
    }
}

const std::vector<std::pair<std::string, std::chrono::nanoseconds>>& Progress::timings() const { return m_impl->timings; }

} // namespace keymeld::cli
