#include "enclave/signer/sealed_chain.h"

#include <algorithm>

#include "core/secure/random.h"

namespace keymeld::enclave {
namespace {

// Nothing honest comes near; keeps "version + 1" and the words that versions are packed into from
// overflowing.
constexpr std::uint64_t kMaxVersion = std::uint64_t{1} << 60;

Error chain_broken() {
    return fail(Errc::SealBroken,
                "sealed state was not written by this enclave, was changed, or is out of order");
}

} // namespace

Bytes SealedChain::aad(Kind kind, std::uint64_t version) const {
    constexpr std::string_view kLabel = "keymeld-sealed-v1";
    Bytes out(kLabel.begin(), kLabel.end());
    out.insert(out.end(), m_subject.bytes.begin(), m_subject.bytes.end());
    for (int shift = 56; shift >= 0; shift -= 8)
        out.push_back(static_cast<std::uint8_t>(version >> shift));
    out.push_back(static_cast<std::uint8_t>(kind));
    if (kind == Kind::Delta)
        out.insert(out.end(), m_last.begin(), m_last.end());
    else
        out.resize(out.size() + m_last.size());
    return out;
}

Bytes SealedChain::seal(Kind kind, std::uint64_t version, ByteView plaintext) const {
    const auto nonce = secure::random_array<crypto::kAeadNonceSize>();
    const Bytes ciphertext = crypto::aes256gcm_seal(m_key, nonce, plaintext, aad(kind, version));
    Bytes blob;
    blob.reserve(nonce.size() + ciphertext.size());
    blob.insert(blob.end(), nonce.begin(), nonce.end());
    blob.insert(blob.end(), ciphertext.begin(), ciphertext.end());
    return blob;
}

Result<secure::SecretBytes> SealedChain::unseal(Kind kind, std::uint64_t version,
                                                ByteView blob) const {
    if (blob.size() < crypto::kAeadNonceSize + crypto::kAeadTagSize || version == 0 ||
        version > kMaxVersion)
        return chain_broken();
    crypto::AeadNonce nonce;
    std::copy_n(blob.begin(), nonce.size(), nonce.begin());
    auto plaintext =
        crypto::aes256gcm_open(m_key, nonce, blob.subspan(nonce.size()), aad(kind, version));
    if (!plaintext)
        return chain_broken();
    return plaintext;
}

void SealedChain::advance(bool snapshot, std::uint64_t version, ByteView blob) {
    m_version = version;
    m_last = crypto::sha256(blob);
    m_deltas = snapshot ? 0 : m_deltas + 1;
    m_delta_bytes = snapshot ? 0 : m_delta_bytes + blob.size();
}

SealedBlob SealedChain::seal_snapshot(ByteView plaintext) {
    SealedBlob out{m_version + 1, true, seal(Kind::Snapshot, m_version + 1, plaintext)};
    advance(true, out.version, out.blob);
    return out;
}

SealedBlob SealedChain::seal_delta(ByteView plaintext) {
    SealedBlob out{m_version + 1, false, seal(Kind::Delta, m_version + 1, plaintext)};
    advance(false, out.version, out.blob);
    return out;
}

Result<secure::SecretBytes> SealedChain::open(std::uint64_t version, bool snapshot, ByteView blob) {
    if (!snapshot && (m_version == 0 || version != m_version + 1))
        return chain_broken();
    auto plaintext = unseal(snapshot ? Kind::Snapshot : Kind::Delta, version, blob);
    if (plaintext)
        advance(snapshot, version, blob);
    return plaintext;
}

Bytes SealedChain::park(ByteView plaintext) const {
    return seal(Kind::Parked, m_version, plaintext);
}

Result<secure::SecretBytes> SealedChain::unpark(std::uint64_t version, ByteView blob) {
    auto plaintext = unseal(Kind::Parked, version, blob);
    if (plaintext)
        advance(true, version, blob);
    return plaintext;
}

} // namespace keymeld::enclave
