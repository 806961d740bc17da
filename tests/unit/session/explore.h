// Exhaustive exploration: every world that can be reached from a start, by every event that can happen in it, until nothing new comes.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

namespace keymeld::test {

/// Bytes that tell two worlds apart.
class Fingerprint {
  public:
    template <class T> Fingerprint& operator<<(const T& value) {
        const auto word = static_cast<std::uint64_t>(value);
        m_text.append(reinterpret_cast<const char*>(&word), word < 255 ? 1 : sizeof word);
        m_text.push_back(word < 255 ? 0 : 1);
        return *this;
    }
    const std::string& text() const { return m_text; }

  private:
    std::string m_text;
};

/// What happens by itself (answers, storage, timers that were asked for) must come to an end; what clients and clocks do need not.
enum class EdgeKind { System, Outside };

/// A world has: fingerprint(), over() (nothing may happen any more), choices() -> vector<pair<EdgeKind, Choice>>, take(Choice), which
/// checks the invariants, and trail, a text that says how it was reached.
template <class World> class Explorer {
  public:
    std::size_t worlds() const { return m_worlds; }
    std::size_t steps() const { return m_steps; }
    std::size_t over() const { return m_over; }

    void run(const World& start, std::size_t limit) {
        add(start);
        while (!m_queue.empty()) {
            ASSERT_LE(m_queue.size() + m_nodes.size(), 2 * limit) << "more worlds than expected: not exhaustive";
            const World world = std::move(m_queue.front());
            m_queue.pop_front();
            const std::size_t from = m_ids.at(world.fingerprint());
            for (const auto& [kind, choice] : world.choices()) {
                World next = world;
                next.take(choice);
                ++m_steps;
                if (::testing::Test::HasFailure()) {
                    ADD_FAILURE() << "reached by:" << next.trail;
                    return;
                }
                const std::size_t to = add(std::move(next));
                m_nodes[from].next.push_back(to);
                if (kind == EdgeKind::System)
                    m_nodes[from].system.push_back(to);
                m_nodes[to].before.push_back(from);
            }
        }
        m_worlds = m_nodes.size();
        everything_can_end();
        nothing_goes_round();
    }

  private:
    struct Node {
        std::vector<std::size_t> next, system, before;
        bool over = false;
        std::string trail;
    };

    std::size_t add(World world) {
        const auto [at, is_new] = m_ids.emplace(world.fingerprint(), m_nodes.size());
        if (is_new) {
            m_nodes.push_back({});
            m_nodes.back().over = world.over();
            m_nodes.back().trail = world.trail;
            m_over += world.over() ? 1u : 0u;
            m_queue.push_back(std::move(world));
        }
        return at->second;
    }

    void everything_can_end() {
        std::vector<bool> can(m_nodes.size());
        std::deque<std::size_t> queue;
        for (std::size_t i = 0; i < m_nodes.size(); ++i)
            if (m_nodes[i].over) {
                can[i] = true;
                queue.push_back(i);
            }
        while (!queue.empty()) {
            const std::size_t at = queue.front();
            queue.pop_front();
            for (const std::size_t before : m_nodes[at].before)
                if (!can[before]) {
                    can[before] = true;
                    queue.push_back(before);
                }
        }
        for (std::size_t i = 0; i < m_nodes.size(); ++i)
            if (!can[i]) {
                ADD_FAILURE() << "the session can never end after:" << m_nodes[i].trail;
                return;
            }
    }

    // Depth first over system edges: an edge back into the path is a cycle, an endless retry.
    void nothing_goes_round() {
        std::vector<std::uint8_t> colour(m_nodes.size());
        for (std::size_t root = 0; root < m_nodes.size(); ++root) {
            if (colour[root])
                continue;
            std::vector<std::pair<std::size_t, std::size_t>> path{{root, 0}};
            colour[root] = 1;
            while (!path.empty()) {
                auto& [at, position] = path.back();
                if (position == m_nodes[at].system.size()) {
                    colour[at] = 2;
                    path.pop_back();
                    continue;
                }
                const std::size_t to = m_nodes[at].system[position++];
                if (colour[to] == 1 && to != at) {
                    ADD_FAILURE() << "the session can go round without end";
                    return;
                }
                if (colour[to] == 0) {
                    colour[to] = 1;
                    path.emplace_back(to, 0);
                }
            }
        }
    }

    std::unordered_map<std::string, std::size_t> m_ids;
    std::vector<Node> m_nodes;
    std::deque<World> m_queue;
    std::size_t m_worlds = 0, m_steps = 0, m_over = 0;
};

} // namespace keymeld::test
