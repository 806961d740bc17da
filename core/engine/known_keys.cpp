#include "core/engine/known_keys.h"

#include "core/crypto/digest.h"

namespace keymeld::engine {
namespace {

// The n-th key of an enclave stands in storage as a binding, which is write-once and outlives every session: its id says which enclave and
// which n, the 32 bytes of keygen and user id are a hash of key and epoch.
struct Pin {
    plugin::Hash32 id{};
    KeygenId first_half;
    UserId second_half;
};

ByteArray<8> big_endian(std::uint64_t number) {
    ByteArray<8> out{};
    for (std::size_t i = 0; i < 8; ++i)
        out[i] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
    return out;
}

Pin pin_of(std::uint32_t enclave, std::uint64_t n, const ByteArray<33>& key, std::uint64_t epoch) {
    Pin pin;
    pin.id = crypto::sha256({as_bytes("keymeld-enclave-key-id-v1"), big_endian(enclave), big_endian(n)});
    const auto value = crypto::sha256({as_bytes("keymeld-enclave-key-v1"), key, big_endian(epoch)});
    std::copy_n(value.begin(), 16, pin.first_half.bytes.begin());
    std::copy_n(value.begin() + 16, 16, pin.second_half.bytes.begin());
    return pin;
}

constexpr std::uint64_t kMaxKeys = 1000; // of one enclave, ever

} // namespace

Async<Status> KnownKeys::confirm(std::uint32_t id, ByteArray<33> key, std::uint64_t epoch,
                                 std::optional<std::uint64_t> accepted_epoch, SteadyTime deadline) {
    bool matches_last = false;
    bool matches_earlier = false;
    for (std::uint64_t n = 1; n <= kMaxKeys; ++n) {
        const Pin pin = pin_of(id, n, key, epoch);
        plugin::ReadBatch question;
        question.binding = pin.id;
        const auto answer = co_await m_store.read(std::move(question), deadline);
        if (!answer)
            co_return answer.error();
        if (answer->binding) {
            matches_earlier = matches_earlier || matches_last;
            matches_last = answer->binding->first == pin.first_half && answer->binding->second == pin.second_half;
            continue;
        }
        if (matches_last)
            co_return Status{};
        if (n > 1 && (matches_earlier || accepted_epoch != epoch))
            co_return fail(Errc::AttestationRefused,
                           "enclave " + std::to_string(id) + " comes with another key (epoch " + std::to_string(epoch) +
                               ") than the one known; if that is meant, set accept_key_epoch of this enclave");
        Batch batch;
        batch.push_back(plugin::BindBlob{pin.id, pin.first_half, pin.second_half});
        co_return co_await m_store.write(std::move(batch));
    }
    co_return fail(Errc::AttestationRefused, "enclave " + std::to_string(id) + " has changed its key too often");
}

Async<Result<bool>> KnownKeys::is_latest(std::uint32_t id, ByteArray<33> key, std::uint64_t epoch, SteadyTime deadline) {
    bool matches_last = false;
    for (std::uint64_t n = 1; n <= kMaxKeys; ++n) {
        const Pin pin = pin_of(id, n, key, epoch);
        plugin::ReadBatch question;
        question.binding = pin.id;
        const auto answer = co_await m_store.read(std::move(question), deadline);
        if (!answer)
            co_return answer.error();
        if (!answer->binding)
            break;
        matches_last = answer->binding->first == pin.first_half && answer->binding->second == pin.second_half;
    }
    co_return matches_last;
}

} // namespace keymeld::engine
