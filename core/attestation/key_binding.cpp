#include "core/attestation/key_binding.h"

#include <algorithm>
#include <charconv>

#include "core/attestation/verifier.h"

namespace keymeld::attestation {
namespace {

constexpr std::string_view kBegin = "{\"key_epoch\":";
constexpr std::string_view kEnd = ",\"protocol\":\"keymeld-v1\"}";

} // namespace

std::string make_user_data(std::uint64_t key_epoch) {
    std::string text(kBegin);
    return text.append(std::to_string(key_epoch)).append(kEnd);
}

Result<std::uint64_t> parse_user_data(ByteView user_data) {
    const std::string_view text = as_text(user_data);
    std::uint64_t epoch = 0;
    if (text.starts_with(kBegin))
        std::from_chars(text.data() + kBegin.size(), text.data() + text.size(), epoch);
    // There is one spelling of an epoch: what does not come out the same again was another.
    if (epoch == 0 || text != make_user_data(epoch))
        return fail(Errc::InvalidArgument, "user_data is not that of a KeyMeld enclave");
    return epoch;
}

Result<KeyBinding> key_binding(const VerifiedAttestation& verified) {
    const auto& key = verified.document().public_key;
    const auto& user_data = verified.document().user_data;
    KeyBinding binding;
    if (!key || key->size() != binding.public_key.size() || ((*key)[0] != 2 && (*key)[0] != 3))
        return refuse(AttestationCheck::PublicKey, "the document holds no compressed public key");
    const auto epoch = user_data ? parse_user_data(*user_data) : parse_user_data({});
    if (!epoch)
        return refuse(AttestationCheck::PublicKey, epoch.error().detail);
    std::ranges::copy(*key, binding.public_key.begin());
    binding.key_epoch = *epoch;
    return binding;
}

} // namespace keymeld::attestation
