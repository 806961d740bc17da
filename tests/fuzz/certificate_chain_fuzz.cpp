// DER from strangers: the input is a leaf, and a root before it. Whatever parses answers every
// rule.
#include "core/attestation/certificate_chain.h"
#include "core/attestation/check.h"
#include "core/attestation/trust_anchor.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::attestation;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView input(data, size);
    const Bytes der = to_bytes(input);
    const auto chain = CertificateChain::parse({der}, der);
    if (chain) {
        for (const Status& status :
             {chain->names(), chain->signatures(), chain->constraints(), chain->key_usage(),
              chain->validity(0), chain->validity(1'750'000'000), chain->validity(~0ull)})
            FUZZ_EXPECT(status || failed_check(status.error()));
        // One certificate cannot be a CA and no CA.
        FUZZ_EXPECT(!chain->constraints());
    } else {
        FUZZ_EXPECT(failed_check(chain.error()) == AttestationCheck::ChainForm);
    }
    const auto anchor = TrustAnchor::from_pem(as_text(input));
    FUZZ_EXPECT(!anchor || !anchor->is_hardware());
    return 0;
}
