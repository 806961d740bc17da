// Single keys (rest-keys.md).
#include "appliance/api/api.h"
#include "appliance/api/encode.h"
#include "appliance/api/error_body.h"
#include "appliance/api/key_decode.h"

namespace keymeld::api {
namespace {

engine::KeyRequest key_request(Call& call) {
    return {KeyId(call.key_id), UserId(call.user_id), std::move(call.user_header)};
}

} // namespace

Api::Answer Api::reserve_key(Call& call) {
    const auto user = decode_reserve_key(call.request.body);
    if (!user)
        co_return user.error();
    const auto key = co_await m_engine.reserve_key(*user);
    if (!key)
        co_return key.error();
    co_return json_response(encode(*key));
}

Api::Answer Api::import_key(Call& call) {
    auto request = decode_import_key(call.request.body);
    if (!request)
        co_return request.error();
    request->user_header = std::move(call.user_header);
    const auto key = co_await m_engine.import_key(std::move(*request));
    if (!key)
        co_return key.error();
    co_return json_response(encode_made(*key));
}

Api::Answer Api::generate_key(Call& call) {
    auto request = decode_generate_key(call.request.body);
    if (!request)
        co_return request.error();
    request->user_header = std::move(call.user_header);
    const auto key = co_await m_engine.generate_key(std::move(*request));
    if (!key)
        co_return key.error();
    co_return json_response(encode_made(*key));
}

Api::Answer Api::keep_key(Call& call) {
    auto request = decode_keep_key(call.request.body);
    if (!request)
        co_return request.error();
    const KeygenId keygen(call.session_id);
    request->keygen_id = keygen;
    request->user_id = UserId(call.user_id);
    request->session_header = std::move(call.auth_header);
    request->user_header = std::move(call.user_header);
    const auto key = co_await m_engine.keep_key(std::move(*request));
    if (!key)
        co_return key.error();
    co_return json_response(encode_kept(*key, keygen));
}

Api::Answer Api::list_keys(Call& call) {
    const auto id = decode_key_id(call.request.query);
    if (!id)
        co_return id.error();
    call.key_id = *id;
    const auto keys = co_await m_engine.list_keys(key_request(call));
    if (!keys)
        co_return keys.error();
    co_return json_response(encode_keys(UserId(call.user_id), *keys));
}

Api::Answer Api::key_status(Call& call) {
    const auto key = co_await m_engine.key_status(key_request(call));
    if (!key)
        co_return key.error();
    co_return json_response(encode_status(*key));
}

Api::Answer Api::delete_key(Call& call) {
    const auto deleted = co_await m_engine.delete_key(key_request(call));
    if (!deleted)
        co_return deleted.error();
    co_return json_response(encode_deleted(KeyId(call.key_id), UserId(call.user_id)));
}

Api::Answer Api::sign_single(Call& call) {
    auto request = decode_sign_single(call.request.body);
    if (!request)
        co_return request.error();
    request->user_header = std::move(call.user_header);
    const auto view = co_await m_engine.sign_single(std::move(*request));
    if (!view)
        co_return view.error();
    co_return json_response(encode(*view));
}

Api::Answer Api::sign_single_batch(Call& call) {
    auto items = decode_sign_batch(call.request.body);
    if (!items)
        co_return items.error();
    std::vector<engine::SignSingle> good;
    for (auto& item : *items)
        if (item)
            good.push_back(std::move(*item));
    const auto views = co_await m_engine.sign_batch(std::move(good));
    std::vector<std::string> results;
    auto view = views.begin();
    for (const auto& item : *items) {
        if (!item)
            results.push_back(error_response(item.error()).body);
        else if (!*view)
            results.push_back(error_response((view++)->error()).body);
        else
            results.push_back(encode(**view++));
    }
    co_return json_response(encode_batch(results));
}

Api::Answer Api::single_signing_status(Call& call) {
    // A signature is there with the first answer, so there is never anything to wait for.
    const auto wait = decode_wait(call.request.query, m_settings.decode);
    if (!wait)
        co_return wait.error();
    const auto view = co_await m_engine.single_signing_status(SigningId(call.session_id), UserId(call.user_id),
                                                              std::move(call.user_header));
    if (!view)
        co_return view.error();
    co_return json_response(encode(*view));
}

} // namespace keymeld::api
