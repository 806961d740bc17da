#include "enclave/signer/sealing.h"

#include "core/base/clock.h"
#include "enclave/signer/secret_codec.h"

namespace keymeld::enclave {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kSize = 1 + 32 + 8 + 8 + 8;
// Nobody restarts an enclave so often; keeps "one more" from overflowing.
constexpr std::uint64_t kMaxIncarnation = std::uint64_t{1} << 60;

} // namespace

Result<EnclaveIdentity> NoSealing::begin() {
    return EnclaveIdentity::generate(1, unix_seconds());
}

Result<EnclaveIdentity> PeerSealing::begin() {
    return EnclaveIdentity::generate(1, unix_seconds()).reincarnated(1);
}

Result<std::unique_ptr<SealingProvider>> sealing_of(std::string_view name) {
    if (name == "none")
        return std::make_unique<NoSealing>();
    if (name == "peer")
        return std::make_unique<PeerSealing>();
    return fail(Errc::ConfigInvalid,
                "sealing is \"none\" or \"peer\", not \"" + std::string(name.substr(0, 32)) + "\"");
}

secure::SecretBytes encode_identity(const EnclaveIdentity& identity) {
    SecretWriter out(kSize);
    out.u8(kFormat);
    out.raw(identity.key().expose());
    out.u64(identity.epoch());
    out.u64(identity.generated_at());
    out.u64(identity.incarnation());
    return secure::SecretBytes::copy_of(out.written());
}

Result<EnclaveIdentity> decode_identity(ByteView bytes) {
    SecretReader in(bytes);
    const bool known = in.u8() == kFormat;
    auto key = crypto::SecretKey::parse(in.raw(32));
    const std::uint64_t epoch = in.u64();
    const std::uint64_t generated_at = in.u64();
    const std::uint64_t incarnation = in.u64();
    if (!known || !key || epoch == 0 || incarnation == 0 || incarnation > kMaxIncarnation ||
        !in.done())
        return fail(Errc::DecryptFailed, "box does not hold an enclave's identity");
    return EnclaveIdentity::from(std::move(*key), epoch, generated_at, incarnation);
}

} // namespace keymeld::enclave
