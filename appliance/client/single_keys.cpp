#include "appliance/client/single_keys.h"

#include <algorithm>
#include <charconv>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/client/secret_file.h"
#include "core/base/clock.h"
#include "core/base/hex.h"
#include "core/bitcoin/taproot.h"
#include "core/crypto/auth_header.h"
#include "core/crypto/ecies.h"
#include "core/crypto/encrypted_data.h"
#include "core/secure/compare.h"
#include "core/secure/random.h"
#include "core/secure/secret_hex.h"

namespace keymeld::client {
namespace {

constexpr std::string_view kSingleKeyFile = "keymeld-single-key-v1";

/// Under which key a signature must verify.
Result<bitcoin::XOnlyPubKey> schnorr_key(const bitcoin::PlainPubKey& key, const bitcoin::TweakConfig& tweak) {
    const bitcoin::XOnlyPubKey internal = bitcoin::XOnlyPubKey::from(key);
    if (tweak.type == bitcoin::TweakType::None)
        return internal;
    std::optional<bitcoin::MerkleRoot> root;
    if (tweak.type == bitcoin::TweakType::TaprootWithMerkleRoot)
        root = tweak.value32;
    KEYMELD_TRY(const auto output, bitcoin::taproot_output(internal, root));
    return output.key;
}

Async<void> pause(std::chrono::milliseconds time) {
    const auto executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer timer(executor, time);
    boost::system::error_code ignored;
    co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

HeaderMaker header_by(const bitcoin::SecretKey& auth_key, const Uuid& scope, const UserId& user) {
    return [&auth_key, scope, user] { return crypto::make_user_signature(auth_key, scope, user, crypto::make_header_nonce()); };
}

} // namespace

UserId new_user_id() { return UserId(Uuid::make_v7(unix_millis(), secure::random_array<10>())); }

// ---- OwnedKey -------------------------------------------------------------------------------------------------------

Result<OwnedKey> OwnedKey::load(const std::filesystem::path& path) {
    KEYMELD_TRY(const SecretFile file, SecretFile::read(path, kSingleKeyFile));
    KEYMELD_TRY(const auto id_text, file.text("key_id"));
    KEYMELD_TRY(const Uuid id, Uuid::parse(id_text));
    KEYMELD_TRY(const auto user_text, file.text("user_id"));
    KEYMELD_TRY(const Uuid user, Uuid::parse(user_text));
    KEYMELD_TRY(const auto enclave_text, file.text("enclave_id"));
    std::uint32_t enclave = 0;
    const auto [end, error] = std::from_chars(enclave_text.data(), enclave_text.data() + enclave_text.size(), enclave);
    if (error != std::errc() || end != enclave_text.data() + enclave_text.size())
        return fail(Errc::ConfigInvalid, path.string() + ": enclave_id is not a number");
    KEYMELD_TRY(const auto public_text, file.text("public_key"));
    KEYMELD_TRY(const auto public_bytes, hex_decode(public_text));
    KEYMELD_TRY(const auto public_key, bitcoin::PlainPubKey::parse(public_bytes));
    KEYMELD_TRY(const ByteView hex, file.value("auth_key"));
    KEYMELD_TRY(const auto bytes, secure::secret_from_hex<32>(hex));
    KEYMELD_TRY(bitcoin::SecretKey auth_key, bitcoin::SecretKey::parse(bytes.expose()));
    return OwnedKey{KeyId(id), UserId(user), enclave, public_key, std::move(auth_key)};
}

Status OwnedKey::save(const std::filesystem::path& path) const {
    SecretFileWriter out(kSingleKeyFile);
    out.add("key_id", id.text());
    out.add("user_id", user_id.text());
    out.add("enclave_id", std::to_string(enclave_id));
    out.add("public_key", public_key.hex());
    const secure::SecretBytes hex = secure::secret_to_hex(auth_key.expose());
    out.add("auth_key", hex.expose());
    return out.write(path);
}

HeaderMaker OwnedKey::header(const Uuid& scope) const { return header_by(auth_key, scope, user_id); }

// ---- SingleKeys -----------------------------------------------------------------------------------------------------

Async<Result<bitcoin::PlainPubKey>> SingleKeys::enclave_key(std::uint32_t id) {
    if (const auto known = m_enclaves.find(id); known != m_enclaves.end())
        co_return known->second;
    auto verified = co_await m_trust.verify(m_rest, id);
    if (!verified)
        co_return std::move(verified).error();
    m_enclaves.emplace(id, verified->key());
    co_return verified->key();
}

Async<Result<OwnedKey>> SingleKeys::generate(UserId user, bitcoin::SecretKey auth_key, bitcoin::AllowedSignatures allowed,
                                             std::optional<std::string> label) {
    const auto reserved = co_await m_rest.reserve_key(user);
    if (!reserved)
        co_return reserved.error();
    const auto enclave = co_await enclave_key(reserved->enclave_id);
    if (!enclave)
        co_return enclave.error();
    const auto tag_key = secure::random_secret<32>();
    auto blob = crypto::ecies_encrypt(*enclave, tag_key.expose());
    if (!blob)
        co_return blob.error();
    GenerateKeyBody body;
    body.id = reserved->id;
    body.user_id = user;
    body.auth_pubkey = auth_key.public_key().bytes();
    body.allowed = allowed;
    body.label = std::move(label);
    body.encrypted_session_secret = std::move(*blob);
    HeaderMaker header = header_by(auth_key, reserved->id, user);
    auto made = co_await m_rest.generate_key(body, std::move(header));
    if (!made)
        co_return std::move(made).error();
    const auto expected =
        bitcoin::key_tag(tag_key, reserved->id, user, auth_key.public_key(), made->public_key, allowed);
    if (!made->tag || !secure::ct_equal(expected, *made->tag))
        co_return fail(Errc::RosterMismatch, "the enclave does not vouch for the key that the appliance reports");
    co_return OwnedKey{reserved->id, user, made->enclave_id, made->public_key, std::move(auth_key)};
}

Async<Result<OwnedKey>> SingleKeys::import(UserId user, bitcoin::SecretKey key, std::optional<std::string> label) {
    auto auth_key = bitcoin::derive_auth_key(key);
    if (!auth_key)
        co_return auth_key.error();
    const auto reserved = co_await m_rest.reserve_key(user);
    if (!reserved)
        co_return reserved.error();
    const auto enclave = co_await enclave_key(reserved->enclave_id);
    if (!enclave)
        co_return enclave.error();
    const std::string aad = bitcoin::import_aad(reserved->id, user, auth_key->public_key());
    auto blob = crypto::ecies_encrypt(*enclave, key.expose(), as_bytes(aad));
    if (!blob)
        co_return blob.error();
    ImportKeyBody body;
    body.id = reserved->id;
    body.user_id = user;
    body.encrypted_private_key = std::move(*blob);
    body.auth_pubkey = auth_key->public_key().bytes();
    body.enclave_public_key = enclave->bytes();
    body.label = std::move(label);
    HeaderMaker header = header_by(*auth_key, reserved->id, user);
    const auto made = co_await m_rest.import_key(body, std::move(header));
    if (!made)
        co_return made.error();
    if (made->public_key != key.public_key())
        co_return fail(Errc::RosterMismatch, "the appliance reports another key than was imported");
    co_return OwnedKey{reserved->id, user, made->enclave_id, key.public_key(), std::move(*auth_key)};
}

Async<Result<std::vector<KeyEntry>>> SingleKeys::list(const OwnedKey& key) {
    return m_rest.list_keys(key.user_id, key.id, key.header());
}

Async<Result<KeyStatusEntry>> SingleKeys::status(const OwnedKey& key) {
    return m_rest.key_status(key.user_id, key.id, key.header());
}

Async<Status> SingleKeys::remove(const OwnedKey& key) { return m_rest.delete_key(key.user_id, key.id, key.header()); }

Result<SingleKeys::Prepared> SingleKeys::prepare(const OwnedKey& key, const bitcoin::PlainPubKey& enclave,
                                                 const ByteArray<32>& digest, bitcoin::SignatureType type,
                                                 const SignOptions& options) {
    Prepared out{{}, secure::random_secret<32>()};
    SignSingleBody& body = out.body;
    body.key_id = key.id;
    body.user_id = key.user_id;
    const secure::SecretBytes hex = secure::secret_to_hex(digest);
    body.encrypted_message = crypto::binary_data_seal(out.secret, crypto::BinaryContext::SessionData, hex.expose());
    body.type = type;
    KEYMELD_TRY(body.encrypted_session_secret, crypto::ecies_encrypt(enclave, out.secret.expose()));
    body.approval_timestamp = unix_seconds();
    body.tweak = options.tweak;
    KEYMELD_TRY(body.approval_signature,
                crypto::ecdsa_sign(key.auth_key, bitcoin::approval_digest(body.encrypted_message, key.id,
                                                                          body.approval_timestamp, body.tweak)));
    // A repeat of the request must not cost a second approval.
    body.signing_id = SigningId(Uuid::make_v7(unix_millis(), secure::random_array<10>()));
    return out;
}

Result<SingleSignature> SingleKeys::open(const OwnedKey& key, const Prepared& prepared, const SingleSigningEntry& entry,
                                         const ByteArray<32>& digest) {
    const auto wrong = [] { return fail(Errc::InvalidSignature, "what the appliance returned is not a signature of this key"); };
    if (entry.status != "completed" || !entry.encrypted_signature)
        return fail(Errc::WrongState, "the appliance did not make the signature: " + entry.status);
    const auto plain =
        crypto::binary_data_open(prepared.secret, crypto::BinaryContext::Signature, *entry.encrypted_signature);
    SingleSignature out;
    out.id = entry.id;
    if (!plain || plain->size() != out.bytes.size())
        return wrong();
    std::copy(plain->expose().begin(), plain->expose().end(), out.bytes.begin());
    if (prepared.body.type == bitcoin::SignatureType::Ecdsa)
        return crypto::ecdsa_verify(out.bytes, digest, key.public_key) ? Result<SingleSignature>(out) : wrong();
    KEYMELD_TRY(const auto verifying, schnorr_key(key.public_key, prepared.body.tweak));
    if (!bitcoin::schnorr_verify(bitcoin::SchnorrSignature{out.bytes}, digest, verifying))
        return wrong();
    return out;
}

Async<Result<SingleSignature>> SingleKeys::sign(const OwnedKey& key, const ByteArray<32>& digest, bitcoin::SignatureType type,
                                                SignOptions options) {
    const auto enclave = co_await enclave_key(key.enclave_id);
    if (!enclave)
        co_return enclave.error();
    auto prepared = prepare(key, *enclave, digest, type, options);
    if (!prepared)
        co_return std::move(prepared).error();
    for (unsigned repeat = 0;; ++repeat) {
        const auto entry = co_await m_rest.sign_single(prepared->body, key.header());
        if (entry)
            co_return open(key, *prepared, *entry, digest);
        const bool way_broke = entry.error().code == Errc::Disconnected || entry.error().code == Errc::DeadlineExceeded;
        if (!way_broke || repeat == options.repeats)
            co_return entry.error();
        co_await pause(std::chrono::milliseconds(repeat == 0 ? 100 : 500));
    }
}

Async<Result<std::vector<Result<SingleSignature>>>> SingleKeys::sign_batch(const OwnedKey& key,
                                                                           std::vector<ByteArray<32>> digests,
                                                                           bitcoin::SignatureType type) {
    const auto enclave = co_await enclave_key(key.enclave_id);
    if (!enclave)
        co_return enclave.error();
    std::vector<Prepared> prepared;
    std::vector<SignSingleBody> bodies;
    std::vector<std::string> headers;
    const HeaderMaker make_header = key.header();
    for (const ByteArray<32>& digest : digests) {
        auto one = prepare(key, *enclave, digest, type, {});
        auto header = make_header();
        if (!one || !header)
            co_return fail(Errc::Internal, "a request could not be signed");
        bodies.push_back(one->body);
        prepared.push_back(std::move(*one));
        headers.push_back(std::move(*header));
    }
    auto entries = co_await m_rest.sign_single_batch(bodies, std::move(headers));
    if (!entries)
        co_return std::move(entries).error();
    if (entries->size() != digests.size())
        co_return fail(Errc::Internal, "the appliance answered another number of items than were asked for");
    std::vector<Result<SingleSignature>> out;
    for (std::size_t i = 0; i < digests.size(); ++i) {
        const auto& entry = (*entries)[i];
        if (entry)
            out.push_back(open(key, prepared[i], *entry, digests[i]));
        else
            out.push_back(entry.error());
    }
    co_return out;
}

} // namespace keymeld::client
