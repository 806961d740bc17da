#include "core/session/slot_assignment.h"

#include <set>

#include "tests/support/vectors.h"

namespace keymeld::session {
namespace {

TEST(SlotAssignment, GivesTheSlotsOfTheSpecification) {
    KEYMELD_VECTORS_OR_SKIP(vectors, test::load_rest_vectors());
    std::size_t checked = 0;
    for (const auto& vector : vectors.at("slot_assignment").at("vectors").as_array()) {
        std::vector<std::uint32_t> enclaves, slots;
        for (const auto& id : vector.at("enclaves").as_array())
            enclaves.push_back(id.to_number<std::uint32_t>());
        for (const auto& id : vector.at("slots").as_array())
            slots.push_back(id.to_number<std::uint32_t>());
        const auto given = assign_slots(enclaves, vector.at("coordinator_enclave_id").to_number<std::uint32_t>(), slots.size());
        ASSERT_TRUE(given.has_value());
        EXPECT_EQ(*given, slots);
        ++checked;
    }
    EXPECT_GE(checked, 6u);
}

// The rule in the specification's own form: R = E without c; slot 0 -> c; k <= |R| -> R[k-1]; beyond -> E[(k - |R| - 1) mod |E|].
TEST(SlotAssignment, FollowsTheRuleForEveryFleet) {
    const std::vector<std::uint32_t> all{2, 3, 5, 70, 4000000000u};
    for (std::size_t size = 1; size <= all.size(); ++size) {
        const std::vector<std::uint32_t> e(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(size));
        for (const std::uint32_t c : e) {
            std::vector<std::uint32_t> r;
            for (const std::uint32_t id : e)
                if (id != c)
                    r.push_back(id);
            const auto given = assign_slots(e, c, 1000);
            ASSERT_TRUE(given.has_value());
            ASSERT_EQ(given->size(), 1000u);
            for (std::size_t k = 0; k < given->size(); ++k) {
                const std::uint32_t expected = k == 0          ? c
                                               : k <= r.size() ? r[k - 1]
                                                               : e[(k - r.size() - 1) % e.size()];
                ASSERT_EQ((*given)[k], expected) << "slot " << k << " of " << size << " enclaves";
            }
        }
    }
}

TEST(SlotAssignment, NeedsTheCoordinatorEnclave) {
    const std::vector<std::uint32_t> enclaves{1, 2};
    const auto given = assign_slots(enclaves, 3, 2);
    ASSERT_FALSE(given.has_value());
    EXPECT_EQ(given.error().code, Errc::EnclaveUnavailable);
    EXPECT_FALSE(assign_slots({}, 0, 2).has_value());
}

} // namespace
} // namespace keymeld::session
