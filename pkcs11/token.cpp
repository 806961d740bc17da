#include "pkcs11/token.h"

#include <algorithm>
#include <cstring>

#include <sys/stat.h>

#include "appliance/client/pin_file.h"
#include "pkcs11/log.h"

namespace keymeld::pkcs11 {

using std::chrono::steady_clock;

namespace {

client::Async<Status> ask_health(client::RestClient& rest) {
    auto health = co_await rest.health();
    if (!health)
        co_return std::move(health).error();
    co_return Status();
}

/// Every healthy enclave must be what the store names: a login says so before a signature is asked for.
client::Async<Status> verify_enclaves(client::RestClient& rest, const client::Trust& trust) {
    auto enclaves = co_await rest.enclaves();
    if (!enclaves)
        co_return std::move(enclaves).error();
    for (const client::EnclaveEntry& enclave : *enclaves) {
        if (!enclave.healthy)
            continue;
        auto verified = co_await trust.verify(rest, enclave.id);
        if (!verified && verified.error().code == Errc::AttestationRefused) {
            Error error = std::move(verified).error();
            error.detail = "enclave " + std::to_string(enclave.id) + ": " + error.detail;
            co_return error;
        }
    }
    co_return Status();
}

} // namespace

Token::Token(CK_SLOT_ID slot, TokenConfig config) : m_slot(slot), m_config(std::move(config)) { read_store(true); }

Token::FileState Token::file_state() const {
    struct stat info {};
    if (::stat(m_config.credentials.c_str(), &info) != 0)
        return {};
    return {info.st_dev, info.st_ino, info.st_size, info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec};
}

std::string Token::label() const {
    const std::lock_guard lock(m_mutex);
    return m_view.store ? m_view.store->header().label : m_config.credentials.filename().string();
}

void Token::read_store(bool first) {
    const FileState state = file_state();
    auto read = client::CredentialStore::read(m_config.credentials);
    std::shared_ptr<const client::CredentialStore> store;
    std::shared_ptr<const client::Trust> trust;
    if (read) {
        store = std::make_shared<const client::CredentialStore>(std::move(*read));
        if (auto judged = store->header().enclave_trust()) // checked when the store was parsed
            trust = std::make_shared<const client::Trust>(std::move(*judged));
    }
    std::shared_ptr<const LoginState> before;
    std::shared_ptr<const LoginState> login;
    std::unique_lock lock(m_mutex);
    // Once more if another thread logs in meanwhile: its login opens this reading too. A logout meanwhile wins.
    do {
        before = m_view.login;
        lock.unlock();
        login = nullptr;
        if (store && before) {
            if (auto secrets = store->open(before->store_key)) {
                login = std::make_shared<const LoginState>(LoginState{before->store_key.clone(), std::move(*secrets)});
            } else {
                log::error("token " + log::quoted(store->header().label) + ": its PIN was changed meanwhile; log in again");
            }
        }
        lock.lock();
    } while (store && m_view.login && m_view.login != before);
    m_file = state;
    m_read_at = steady_clock::now();
    if (!store) {
        // What was read before stays usable: a store that is being replaced must not log anybody out.
        if (first || m_store_error.empty())
            log::error("token of slot " + std::to_string(m_slot) + ": " + read.error().detail);
        m_store_error = read.error().detail;
        return;
    }
    m_store_error.clear();
    m_view.ring = std::make_shared<const KeyRing>(*store, m_known_handles);
    m_view.store = std::move(store);
    m_view.trust = std::move(trust);
    m_view.login = m_view.login ? std::move(login) : nullptr;
}

void Token::refresh(bool now) {
    {
        const std::lock_guard lock(m_mutex);
        if (!now && m_read_at + m_config.refresh > steady_clock::now())
            return;
        m_read_at = steady_clock::now();
    }
    const FileState state = file_state();
    {
        const std::lock_guard lock(m_mutex);
        if (state == m_file)
            return;
    }
    read_store(false);
}

TokenView Token::view() const {
    const std::lock_guard lock(m_mutex);
    return m_view;
}

ChannelPool::Lease Token::channel(const client::CredentialStore& store) {
    auto endpoint = store.header().endpoint();
    return m_channels.take(endpoint ? *endpoint : client::Endpoint());
}

bool Token::present(bool ask) {
    const TokenView now = view();
    if (!now.store)
        return false;
    {
        const std::lock_guard lock(m_mutex);
        if ((m_present || !ask) && m_presence_checked != SteadyTime() && m_presence_checked + kPresenceTime > steady_clock::now())
            return m_present;
    }
    const auto lease = channel(*now.store);
    const Status answered = lease->run<void>(ask_health(lease->rest()));
    // Whoever answers is there, whatever it says; a wrong certificate shows at login.
    const bool present = answered || !is_transport(answered.error().code);
    if (!present)
        log::info("token " + log::quoted(now.store->header().label) + ": " + answered.error().detail);
    const std::lock_guard lock(m_mutex);
    m_present = present;
    m_presence_checked = steady_clock::now();
    return present;
}

CK_RV Token::check_present() {
    if (!view().store) {
        refresh();
        if (!view().store)
            return CKR_TOKEN_NOT_RECOGNIZED;
    }
    return present(true) ? CKR_OK : CKR_TOKEN_NOT_PRESENT;
}

Status Token::check_appliance(const TokenView& now) {
    const auto lease = channel(*now.store);
    Status checked;
    for (unsigned attempt = 0; attempt < 3; ++attempt) {
        checked = lease->run<void>(verify_enclaves(lease->rest(), *now.trust));
        if (checked || !is_transport(checked.error().code))
            break;
    }
    return checked;
}

CK_RV Token::login(const unsigned char* pin, CK_ULONG pin_length) {
    {
        const std::lock_guard lock(m_mutex);
        if (m_view.login)
            return CKR_USER_ALREADY_LOGGED_IN;
        if (m_logging_in)
            return CKR_OPERATION_ACTIVE;
        m_logging_in = true;
    }
    struct Done {
        Token& token;
        ~Done() {
            const std::lock_guard lock(token.m_mutex);
            token.m_logging_in = false;
        }
    } const done{*this};
    refresh(true);
    const TokenView now = view();
    if (!now.store)
        return CKR_TOKEN_NOT_RECOGNIZED;
    const std::string name = "token " + log::quoted(now.store->header().label);
    secure::SecretBytes from_file;
    ByteView given(pin, pin_length);
    if (pin == nullptr) {
        if (!m_config.pin_file)
            return CKR_ARGUMENTS_BAD;
        auto read = client::read_pin_file(*m_config.pin_file);
        if (!read) {
            log::error(name + ": pin-file: " + read.error().detail);
            return CKR_FUNCTION_FAILED;
        }
        from_file = std::move(*read);
        given = from_file.expose();
    }
    // A PIN of a length that no store has is a wrong one.
    auto key = now.store->derive_key(given);
    if (!key && key.error().code != Errc::InvalidArgument) {
        log::error(name + ": " + key.error().detail);
        return CKR_HOST_MEMORY;
    }
    auto secrets = key ? now.store->open(*key) : Result<std::vector<client::KeySecrets>>(key.error());
    if (!secrets) {
        const std::lock_guard lock(m_mutex);
        m_pin_was_wrong = true;
        log::error(name + ": " + secrets.error().detail);
        return CKR_PIN_INCORRECT;
    }
    if (Status trusted = check_appliance(now); !trusted) {
        const CK_RV code = code_of(trusted.error().code, During::Login);
        log::error(name + ": login: " + trusted.error().detail + (code == CKR_TOKEN_NOT_RECOGNIZED
                       ? "; this is not the appliance that the credential store names: ask its operator before you change the store"
                       : "; is the appliance running and reachable?"));
        return code;
    }
    const std::lock_guard lock(m_mutex);
    m_pin_was_wrong = false;
    m_present = true;
    m_presence_checked = steady_clock::now();
    return take_login(now, std::move(*key), std::move(*secrets));
}

CK_RV Token::take_login(const TokenView& opened, secure::SecretArray<32> key, std::vector<client::KeySecrets> secrets) {
    // Secrets belong to the keys of one reading. Another came in between: a repeat takes that one.
    if (m_view.store != opened.store)
        return CKR_FUNCTION_FAILED;
    m_view.login = std::make_shared<const LoginState>(LoginState{std::move(key), std::move(secrets)});
    return CKR_OK;
}

CK_RV Token::logout() {
    std::shared_ptr<const LoginState> ended;
    const std::lock_guard lock(m_mutex);
    if (!m_view.login)
        return CKR_USER_NOT_LOGGED_IN;
    ended.swap(m_view.login);
    return CKR_OK;
}

bool Token::logged_in() const {
    const std::lock_guard lock(m_mutex);
    return m_view.login != nullptr;
}

bool Token::pin_count_low() const {
    const std::lock_guard lock(m_mutex);
    return m_pin_was_wrong;
}

CK_RV Token::change_pin(ByteView old_pin, ByteView new_pin) {
    if (new_pin.size() < client::kMinPin || new_pin.size() > client::kMaxPin || old_pin.size() < client::kMinPin ||
        old_pin.size() > client::kMaxPin)
        return CKR_PIN_LEN_RANGE;
    if (Status changed = client::CredentialStore::change_pin(m_config.credentials, old_pin, new_pin); !changed) {
        log::error("token " + log::quoted(label()) + ": " + changed.error().detail);
        return changed.error().code == Errc::AuthFailed ? CKR_PIN_INCORRECT : CKR_FUNCTION_FAILED;
    }
    const bool was_logged_in = logged_in();
    {
        const std::lock_guard lock(m_mutex);
        m_view.login = nullptr;
    }
    refresh(true);
    if (!was_logged_in)
        return CKR_OK;
    // A reading of another thread in between: once more, over what that one read.
    for (;;) {
        const TokenView now = view();
        auto key = now.store->derive_key(new_pin);
        if (!key)
            return CKR_HOST_MEMORY;
        auto secrets = now.store->open(*key);
        if (!secrets)
            return CKR_FUNCTION_FAILED;
        const std::lock_guard lock(m_mutex);
        if (take_login(now, std::move(*key), std::move(*secrets)) == CKR_OK)
            return CKR_OK;
    }
}

// ---- objects --------------------------------------------------------------------------------------------------------

CK_RV Token::add_session_object(CK_SESSION_HANDLE owner, std::shared_ptr<const SessionObject> object, CK_OBJECT_HANDLE& handle) {
    const std::lock_guard lock(m_mutex);
    if (m_session_objects.size() >= kMaxSessionObjects)
        return CKR_DEVICE_MEMORY;
    handle = next_handle();
    m_session_objects.emplace(handle, Owned{owner, std::move(object)});
    return CKR_OK;
}

CK_RV Token::remove_session_object(CK_OBJECT_HANDLE handle) {
    const std::lock_guard lock(m_mutex);
    return m_session_objects.erase(handle) == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

void Token::session_closed(CK_SESSION_HANDLE session) {
    const std::lock_guard lock(m_mutex);
    std::erase_if(m_session_objects, [session](const auto& entry) { return entry.second.owner == session; });
}

Token::Held Token::find(CK_OBJECT_HANDLE handle) const {
    const std::lock_guard lock(m_mutex);
    Held out{m_view, nullptr, {}};
    if (const auto at = m_session_objects.find(handle); at != m_session_objects.end()) {
        out.session_object = at->second.object;
        out.object.session = out.session_object.get();
        return out;
    }
    if (m_view.ring) {
        out.object.found = m_view.ring->find(handle);
        if (out.object.is_private() && !m_view.login)
            out.object.found = {};
    }
    return out;
}

std::vector<CK_OBJECT_HANDLE> Token::find_all(std::span<const CK_ATTRIBUTE> wanted) const {
    const std::lock_guard lock(m_mutex);
    std::vector<CK_OBJECT_HANDLE> out;
    if (m_view.ring) {
        for (const auto& [handle, found] : m_view.ring->objects()) {
            const ObjectView object{found, nullptr};
            if ((!object.is_private() || m_view.login) && matches(object, wanted))
                out.push_back(handle);
        }
    }
    for (const auto& [handle, owned] : m_session_objects)
        if (matches(ObjectView{{}, owned.object.get()}, wanted))
            out.push_back(handle);
    return out;
}

} // namespace keymeld::pkcs11
