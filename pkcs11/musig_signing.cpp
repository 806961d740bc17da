#include "pkcs11/musig_signing.h"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "appliance/client/ceremony.h"
#include "appliance/client/local_crypto.h"
#include "core/base/hex.h"
#include "pkcs11/errors.h"

namespace keymeld::pkcs11 {

namespace asio = boost::asio;
using client::Async;
using std::chrono::steady_clock;

namespace {

/// How long the appliance keeps asking for approvals; a C_Sign waits less and can be repeated.
constexpr std::uint64_t kSessionSeconds = 3600;
constexpr unsigned kTransportRetries = 2;
constexpr std::uint32_t kMaxAttempts = 64;

/// Everything of one C_Sign; a coroutine holds references to it.
struct Request {
    client::RestClient& rest;
    const client::StoredKey& key;
    client::Participant who;
    client::Invitation invitation;
    ByteArray<32> message;
    SteadyTime deadline;
};

Async<void> pause_before_retry(unsigned attempt) {
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, std::chrono::milliseconds(attempt == 0 ? 100 : 500));
    boost::system::error_code ignored;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

Async<Result<client::SigningStatusEntry>> status_of(Request& request, SigningId id, unsigned wait) {
    for (unsigned attempt = 0;; ++attempt) {
        auto status = co_await request.rest.signing_status(id, request.who.signing_header(), wait);
        if (status || !is_transport(status.error().code) || attempt == kTransportRetries)
            co_return status;
        co_await pause_before_retry(attempt);
    }
}

/// Idempotent: the id and the body are the same at every repeat.
Async<Status> create(Request& request, SigningId id) {
    client::CreateSigningBody body;
    body.signing_id = id;
    body.keygen_id = request.invitation.keygen_id;
    body.message_hash = request.message;
    body.timeout_secs = kSessionSeconds;
    for (unsigned attempt = 0;; ++attempt) {
        Status created = co_await request.rest.create_signing(body, request.invitation.session_header(request.who.user_id));
        if (created || !is_transport(created.error().code) || attempt == kTransportRetries)
            co_return created;
        co_await pause_before_retry(attempt);
    }
}

std::string named(const Request& request, SigningId id) {
    return "key \"" + request.key.label + "\", request " + id.text() + ": ";
}

SignOutcome from_error(const Request& request, SigningId id, const Error& error) {
    SignOutcome out;
    out.code = code_of(error.code, During::Sign);
    out.explanation = named(request, id) + error.detail;
    if (error.code == Errc::QuotaExceeded)
        out.explanation += "; the key has made all signatures that its keygen allowed (max_signing_sessions)";
    else if (is_transport(error.code))
        out.explanation += "; is the appliance running and reachable? The request is taken up again when you sign the same again";
    else if (error.code == Errc::RateLimited)
        out.explanation += "; ask the operator for a higher limit, or sign more slowly";
    return out;
}

SignOutcome from_failure(const Request& request, SigningId id, const std::optional<client::FailureEntry>& failure) {
    SignOutcome out;
    const std::string type = failure ? failure->type : "internal";
    if (type == "rejected")
        out.code = CKR_FUNCTION_REJECTED;
    else if (type == "expired")
        out.code = CKR_FUNCTION_CANCELED;
    out.explanation = named(request, id) + type + ": " + (failure ? failure->message : "no reason given") +
                      (type == "rejected" ? "; talk to the participant who rejected it, then sign again" : "; sign again to ask anew");
    return out;
}

SignOutcome still_pending(const Request& request, SigningId id, const client::SigningStatusEntry& status) {
    SignOutcome out;
    out.code = CKR_FUNCTION_CANCELED;
    std::string missing;
    for (const UserId& user : status.requiring_approval)
        if (std::find(status.approved.begin(), status.approved.end(), user) == status.approved.end())
            missing += " " + user.text();
    out.explanation = named(request, id) + (missing.empty() ? "is still " + status.status : "waits for the approval of" + missing) +
                      "; they run: keymeld sign approve --session " + id.text() + " --message " + hex_encode(request.message) +
                      " ...; then sign the same again, and this request is taken up";
    return out;
}

Async<Status> approve_own(Request& request, SigningId id) {
    client::Ceremony ceremony(request.rest);
    co_return co_await ceremony.approve(request.invitation, request.who, id, request.message, client::Approval::Bound);
}

/// Waits for the end of session `id`.
Async<SignOutcome> wait_for(Request& request, SigningId id, std::optional<client::SigningStatusEntry> known) {
    bool approved = false;
    for (;;) {
        if (!known) {
            const auto left = std::chrono::ceil<std::chrono::seconds>(request.deadline - steady_clock::now()).count();
            auto seen = co_await status_of(request, id, static_cast<unsigned>(std::clamp<std::int64_t>(left, 1, 30)));
            if (!seen)
                co_return from_error(request, id, seen.error());
            known = std::move(*seen);
        }
        if (known->status == "failed")
            co_return from_failure(request, id, known->failure);
        if (known->status == "completed" && known->final_signature) {
            SignOutcome out;
            const auto signature = client::open_signature(request.invitation, *known->final_signature, request.message,
                                                          bitcoin::XOnlyPubKey::from(request.key.public_key));
            if (signature) {
                out.code = CKR_OK;
                out.signature = signature->bytes;
            } else {
                out.explanation = named(request, id) + "what came is not a signature of this message by this key (" +
                                  signature.error().detail + "); tell the operator";
            }
            co_return out;
        }
        const UserId& own = request.who.user_id;
        const auto names_own = [&own](const std::vector<UserId>& users) { return std::find(users.begin(), users.end(), own) != users.end(); };
        if (!approved && names_own(known->requiring_approval) && !names_own(known->approved)) {
            approved = true;
            const Status done = co_await approve_own(request, id);
            if (!done && done.error().code != Errc::WrongState)
                co_return from_error(request, id, done.error());
        }
        if (steady_clock::now() >= request.deadline)
            co_return still_pending(request, id, *known);
        known.reset();
    }
}

Async<SignOutcome> sign(Request& request) {
    for (std::uint32_t number = 0; number < kMaxAttempts; ++number) {
        const SigningId id = signing_id(request.key, request.message, number);
        auto seen = co_await status_of(request, id, 0);
        if (seen && seen->status == "failed")
            continue;
        if (seen) {
            SignOutcome joined = co_await wait_for(request, id, std::move(*seen));
            co_return joined;
        }
        if (seen.error().code != Errc::NotFound)
            co_return from_error(request, id, seen.error());
        Status created = co_await create(request, id);
        // Known although it is not found: its record was deleted, the id is used up.
        if (!created && created.error().code == Errc::DuplicateId)
            continue;
        if (!created)
            co_return from_error(request, id, created.error());
        std::optional<client::SigningStatusEntry> first;
        if (request.key.approves) {
            // At once: the long poll would wait for what only this user can do.
            auto fresh = co_await status_of(request, id, 0);
            if (!fresh)
                co_return from_error(request, id, fresh.error());
            first = std::move(*fresh);
        }
        SignOutcome made = co_await wait_for(request, id, std::move(first));
        co_return made;
    }
    SignOutcome out;
    out.code = CKR_FUNCTION_REJECTED;
    out.explanation = "key \"" + request.key.label + "\": this message was asked for " + std::to_string(kMaxAttempts) + " times and always failed";
    co_return out;
}

} // namespace

SigningId signing_id(const client::StoredKey& key, const ByteArray<32>& message, std::uint32_t number) {
    client::Sha256 digest;
    digest.update(as_bytes("keymeld-pkcs11-signing-v1"))
        .update(key.id.bytes)
        .update(key.user_id.bytes)
        .update(message)
        .update(as_bytes(std::to_string(number)));
    const auto hash = digest.finish();
    Uuid id;
    std::copy_n(hash.begin(), id.bytes.size(), id.bytes.begin());
    id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0f) | 0x80);
    id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3f) | 0x80);
    return SigningId(id);
}

Async<Result<SignOutcome>> musig_sign(client::RestClient& rest, const client::StoredKey& key, const client::KeySecrets& secrets,
                                      const ByteArray<32>& message, SteadyTime deadline) {
    auto secret = bitcoin::SecretKey::parse(secrets.authentication.expose());
    if (!secret)
        co_return fail(Errc::ConfigInvalid, "key \"" + key.label + "\": its credentials are damaged");
    Request request{rest,
                    key,
                    client::Participant{key.user_id, std::move(*secret)},
                    client::Invitation{KeygenId(key.id), secrets.session_secret.clone(), key.params},
                    message,
                    deadline};
    SignOutcome outcome = co_await sign(request);
    co_return outcome;
}

} // namespace keymeld::pkcs11
