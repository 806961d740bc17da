// A map of bounded weight that forgets what was not asked for longest.
#pragma once

#include <list>
#include <optional>
#include <unordered_map>

namespace keymeld::engine {

template <class Key, class Value> class LruCache {
  public:
    explicit LruCache(std::size_t capacity) : m_capacity(capacity) {}

    /// The value, now the most recently used; null if it is not there. Valid until the next put() or erase().
    const Value* find(const Key& key) {
        const auto found = m_index.find(key);
        if (found == m_index.end())
            return nullptr;
        m_entries.splice(m_entries.begin(), m_entries, found->second);
        return &found->second->value;
    }

    void put(const Key& key, Value value, std::size_t weight = 1) {
        erase(key);
        m_entries.push_front({key, std::move(value), weight});
        m_index.emplace(key, m_entries.begin());
        m_weight += weight;
        while (m_weight > m_capacity && m_entries.size() > 1) {
            m_weight -= m_entries.back().weight;
            m_index.erase(m_entries.back().key);
            m_entries.pop_back();
        }
    }

    void erase(const Key& key) {
        const auto found = m_index.find(key);
        if (found == m_index.end())
            return;
        m_weight -= found->second->weight;
        m_entries.erase(found->second);
        m_index.erase(found);
    }

    template <class Predicate> void erase_if(Predicate&& unwanted) {
        for (auto entry = m_entries.begin(); entry != m_entries.end();) {
            if (!unwanted(entry->value)) {
                ++entry;
                continue;
            }
            m_weight -= entry->weight;
            m_index.erase(entry->key);
            entry = m_entries.erase(entry);
        }
    }

    std::size_t size() const { return m_entries.size(); }

  private:
    struct Entry {
        Key key;
        Value value;
        std::size_t weight;
    };
    std::size_t m_capacity;
    std::size_t m_weight = 0;
    std::list<Entry> m_entries; // most recent first
    std::unordered_map<Key, typename std::list<Entry>::iterator> m_index;
};

} // namespace keymeld::engine
