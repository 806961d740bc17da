#include "appliance/client/trust.h"

#include "core/attestation/key_binding.h"
#include "core/base/clock.h"
#include "core/secure/random.h"

namespace keymeld::client {

Result<Trust> Trust::load(std::string_view anchor, const std::filesystem::path& pcrs) {
    KEYMELD_TRY(attestation::TrustAnchor root,
                attestation::TrustAnchor::from_config(anchor, std::filesystem::current_path()));
    KEYMELD_TRY(attestation::PcrPolicy policy, attestation::PcrPolicy::from_file(pcrs));
    return Trust(attestation::AttestationVerifier(std::move(root), std::move(policy)));
}

Async<Result<VerifiedEnclave>> Trust::verify(RestClient& rest, std::uint32_t enclave_id) const {
    const ByteArray<32> nonce = secure::random_array<32>();
    auto answer = co_await rest.attestation(enclave_id, nonce);
    if (!answer)
        co_return std::move(answer).error();
    attestation::Expectations expected;
    expected.nonce = Bytes(nonce.begin(), nonce.end());
    expected.now_ms = unix_millis();
    const auto verified = m_verifier.verify(answer->document, expected);
    if (!verified)
        co_return verified.error();
    const auto binding = attestation::key_binding(*verified);
    if (!binding)
        co_return binding.error();
    const auto key = bitcoin::PlainPubKey::parse(binding->public_key);
    if (!key)
        co_return fail(Errc::AttestationRefused, "the attested key is not a point on the curve");
    co_return VerifiedEnclave(enclave_id, *key, binding->key_epoch, verified->image_name(), verified->hardware());
}

} // namespace keymeld::client
