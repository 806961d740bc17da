#include "enclave/signer/keygen_params.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/protocol/enclave.pb.h"
#include "enclave/signer/limits.h"
#include "enclave/signer/wire_fields.h"

namespace keymeld::enclave {
namespace {

constexpr const char* kTweakPointer = "/taproot_tweak_config";

Result<bitcoin::TweakConfig> tweak_of(const wire::TweakConfig& message) {
    if (message.type() < 0 || message.type() > static_cast<int>(bitcoin::TweakType::XOnlyTweak))
        return at(fail(Errc::InvalidArgument, "unknown tweak type"), kTweakPointer);
    bitcoin::TweakConfig tweak;
    tweak.type = static_cast<bitcoin::TweakType>(message.type());
    if (message.value().size() != (tweak.has_value() ? tweak.value32.size() : 0))
        return at(fail(Errc::InvalidArgument, "tweak value has the wrong length"), kTweakPointer);
    std::copy_n(message.value().begin(), message.value().size(), tweak.value32.begin());
    if (auto valid = tweak.validate(); !valid)
        return at(std::move(valid).error(), std::string(kTweakPointer) + "/tweak");
    return tweak;
}

Result<std::vector<UserId>> participants_of(const wire::KeygenParams& message) {
    const auto count = static_cast<std::size_t>(message.expected_participants_size());
    if (count < kMinParticipants || count > kMaxParticipants)
        return at(fail(Errc::InvalidArgument, "a session has 2 to 1000 participants"),
                  "/expected_participants");
    std::vector<UserId> users;
    users.reserve(count);
    std::unordered_set<Uuid> seen;
    for (const std::string& field : message.expected_participants()) {
        KEYMELD_TRY(const UserId user, user_id_of(field));
        if (!seen.insert(user).second)
            return at(fail(Errc::InvalidArgument, "a participant is listed twice"),
                      "/expected_participants");
        users.push_back(user);
    }
    return users;
}

} // namespace

Result<KeygenParams> KeygenParams::parse(const wire::KeygenParams& message) {
    KeygenParams out;
    KEYMELD_TRY(out.session.expected_participants, participants_of(message));
    KEYMELD_TRY(out.session.tweak, tweak_of(message.tweak()));
    if (message.key_order() != wire::USER_ID && message.key_order() != wire::BIP327_SORTED)
        return at(fail(Errc::InvalidArgument, "unknown key order"), "/key_order");
    out.session.key_order = message.key_order() == wire::USER_ID ? bitcoin::KeyOrder::UserId
                                                                 : bitcoin::KeyOrder::Bip327Sorted;
    out.session.max_signing_sessions = message.max_signing_sessions();
    out.ecies_aad = message.ecies_aad();

    if (static_cast<std::size_t>(message.slot_enclaves_size()) != out.participants())
        return fail(Errc::InvalidArgument, "there is not one slot for each participant");
    std::unordered_map<std::string, std::uint16_t> known;
    for (const std::string& field : message.slot_enclaves()) {
        const auto [entry, fresh] =
            known.try_emplace(field, static_cast<std::uint16_t>(out.enclaves.size()));
        if (fresh) {
            if (out.enclaves.size() == kMaxEnclavesOfKeygen)
                return fail(Errc::InvalidArgument, "a session is spread over too many enclaves");
            KEYMELD_TRY(const auto key, point_of(field));
            out.enclaves.push_back(key);
        }
        out.slots.push_back(entry->second);
    }
    out.compute_digest();
    return out;
}

std::optional<std::uint16_t> KeygenParams::enclave_index(ByteView key33) const {
    const auto found = std::find_if(enclaves.begin(), enclaves.end(), [&](const auto& enclave) {
        return std::ranges::equal(enclave.bytes(), key33);
    });
    if (found == enclaves.end())
        return std::nullopt;
    return static_cast<std::uint16_t>(found - enclaves.begin());
}

std::optional<std::uint32_t> KeygenParams::signer_index(const UserId& user) const {
    const auto& users = session.expected_participants;
    const auto found = std::find(users.begin(), users.end(), user);
    if (found == users.end())
        return std::nullopt;
    return static_cast<std::uint32_t>(found - users.begin());
}

void KeygenParams::encode(SecretWriter& out) const {
    out.u32(static_cast<std::uint32_t>(participants()));
    for (const UserId& user : session.expected_participants)
        out.raw(user.view());
    out.u16(static_cast<std::uint16_t>(enclaves.size()));
    for (const crypto::PlainPubKey& key : enclaves)
        out.raw(key.bytes());
    for (const std::uint16_t slot : slots)
        out.u16(slot);
    out.u8(static_cast<std::uint8_t>(session.tweak.type));
    out.raw(session.tweak.value32);
    out.u8(static_cast<std::uint8_t>(session.key_order));
    out.u32(session.max_signing_sessions);
    out.u8(ecies_aad ? 1 : 0);
}

Result<KeygenParams> KeygenParams::decode(SecretReader& in) {
    KeygenParams out;
    const std::uint32_t count = in.u32();
    if (!in.fits(count, 16) || count < kMinParticipants || count > kMaxParticipants)
        return fail(Errc::SealBroken, "sealed participant list is out of range");
    for (std::uint32_t i = 0; i < count; ++i)
        out.session.expected_participants.push_back(in.id<UserId>());
    const std::uint16_t enclave_count = in.u16();
    if (!in.fits(enclave_count, 33) || enclave_count == 0 || enclave_count > kMaxEnclavesOfKeygen)
        return fail(Errc::SealBroken, "sealed enclave list is out of range");
    for (std::uint16_t i = 0; i < enclave_count; ++i) {
        KEYMELD_TRY(const auto key, crypto::PlainPubKey::parse(in.raw(33)));
        out.enclaves.push_back(key);
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        out.slots.push_back(in.u16());
        if (out.slots.back() >= enclave_count)
            in.fail_now();
    }
    const std::uint8_t type = in.u8();
    out.session.tweak.value32 = in.array<32>();
    const std::uint8_t order = in.u8();
    out.session.max_signing_sessions = in.u32();
    out.ecies_aad = in.u8() != 0;
    if (!in.ok() || type > static_cast<std::uint8_t>(bitcoin::TweakType::XOnlyTweak) ||
        order > static_cast<std::uint8_t>(bitcoin::KeyOrder::Bip327Sorted))
        return fail(Errc::SealBroken, "sealed parameters are out of range");
    out.session.tweak.type = static_cast<bitcoin::TweakType>(type);
    out.session.key_order = static_cast<bitcoin::KeyOrder>(order);
    out.compute_digest();
    return out;
}

void KeygenParams::compute_digest() {
    SecretWriter text(64 + participants() * 18 + enclaves.size() * 33);
    text.raw(as_bytes("keymeld-enclave-params-v1"));
    encode(text);
    digest = crypto::sha256(text.written());
}

} // namespace keymeld::enclave
