// A list that is read comes out the same when it is written and read again, and allows no enclave
// in debug mode.
#include "core/attestation/pcr_policy.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::attestation;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto policy = PcrPolicy::parse(as_text({data, size}));
    if (!policy) {
        FUZZ_EXPECT(policy.error().code == Errc::ConfigInvalid);
        return 0;
    }
    const auto again = PcrPolicy::parse(policy->to_json());
    FUZZ_EXPECT(again);
    FUZZ_EXPECT(again->to_json() == policy->to_json());
    for (const PcrPolicy::Entry& entry : policy->entries()) {
        PcrSet pcrs = entry.required;
        pcrs[PcrIndex::of<0>()] = PcrValue{};
        FUZZ_EXPECT(policy->match(pcrs) == nullptr);
    }
    return 0;
}
