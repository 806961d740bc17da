// 4.1 - 4.3 and the operations of 4.14 that need the engine.
#include "appliance/api/api.h"
#include "appliance/api/encode.h"
#include "appliance/api/error_body.h"
#include "core/base/clock.h"

namespace keymeld::api {

http::Response Api::list_enclaves() const { return json_response(encode_enclaves(m_engine.enclaves())); }

Result<http::Response> Api::enclave_public_key(const Call& call) const {
    KEYMELD_TRY(const auto enclave, m_engine.enclave(call.enclave_id));
    if (!enclave.reached)
        return fail(Errc::EnclaveUnavailable, "this enclave was never reached");
    return json_response(encode_public_key(enclave, unix_seconds()));
}

Api::Answer Api::enclave_attestation(Call& call) {
    auto nonce = decode_attestation_nonce(call.request.query);
    if (!nonce)
        co_return nonce.error();
    const auto answer = co_await m_engine.attestation(call.enclave_id, std::move(*nonce));
    if (!answer)
        co_return answer.error();
    co_return json_response(encode_attestation(*answer));
}

Result<http::Response> Api::ready() const {
    const engine::ReadyView view = m_engine.ready();
    if (view.ready)
        return json_response(encode_ready(view));
    const Error error = fail(Errc::NotReady, "no recent canary signature on every required enclave").with("retry_after", "5");
    return error_response(error, encode_not_ready(view));
}

http::Response Api::version() const {
    bool attestation = false;
    for (const auto& enclave : m_engine.enclaves())
        attestation = attestation || !enclave.attestation_document.empty();
    return json_response(encode_version(m_settings.version, attestation));
}

} // namespace keymeld::api
