#include "pkcs11/module.h"

#include <new>

#include <pthread.h>

#include "appliance/client/inherited_sockets.h"
#include "appliance/client/foreign_process.h"
#include "pkcs11/log.h"

namespace keymeld::pkcs11 {

// ---- Module ---------------------------------------------------------------------------------------------------------

Module::Module(const Config& config) {
    CK_SLOT_ID slot = 0;
    for (const TokenConfig& token : config.tokens)
        m_tokens.push_back(std::make_shared<Token>(slot++, token));
}

CK_RV Module::open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE& handle) {
    static std::atomic<CK_SESSION_HANDLE> last{0};
    if (slot >= m_tokens.size())
        return CKR_SLOT_ID_INVALID;
    if ((flags & CKF_SERIAL_SESSION) == 0)
        return CKR_SESSION_PARALLEL_NOT_SUPPORTED;
    if (const CK_RV code = m_tokens[slot]->check_present(); code != CKR_OK)
        return code;
    const CK_SESSION_HANDLE made = ++last;
    auto session = std::make_shared<Session>(made, m_tokens[slot], flags);
    const std::lock_guard lock(m_mutex);
    if (m_sessions.size() >= kMaxSessions)
        return CKR_SESSION_COUNT;
    m_sessions.emplace(made, std::move(session));
    handle = made;
    return CKR_OK;
}

CK_RV Module::close_session(CK_SESSION_HANDLE handle) {
    std::shared_ptr<Session> closed;
    bool last = true;
    {
        const std::lock_guard lock(m_mutex);
        const auto at = m_sessions.find(handle);
        if (at == m_sessions.end())
            return CKR_SESSION_HANDLE_INVALID;
        closed = std::move(at->second);
        m_sessions.erase(at);
        for (const auto& [other, session] : m_sessions)
            last = last && &session->token() != &closed->token();
    }
    closed->token().session_closed(handle);
    if (last)
        closed->token().logout(); // the last session's end is a logout
    return CKR_OK;
}

CK_RV Module::close_all_sessions(CK_SLOT_ID slot) {
    Token* const closing = token(slot);
    if (closing == nullptr)
        return CKR_SLOT_ID_INVALID;
    std::vector<CK_SESSION_HANDLE> handles;
    {
        const std::lock_guard lock(m_mutex);
        for (const auto& [handle, session] : m_sessions)
            if (&session->token() == closing)
                handles.push_back(handle);
    }
    for (const CK_SESSION_HANDLE handle : handles)
        close_session(handle);
    return CKR_OK;
}

std::shared_ptr<Session> Module::session(CK_SESSION_HANDLE handle) const {
    const std::lock_guard lock(m_mutex);
    const auto at = m_sessions.find(handle);
    return at == m_sessions.end() ? nullptr : at->second;
}

bool Module::has_read_only_session(const Token& token) const {
    const Count count = sessions_of(token);
    return count.all > count.read_write;
}

Module::Count Module::sessions_of(const Token& token) const {
    Count out;
    const std::lock_guard lock(m_mutex);
    for (const auto& [handle, session] : m_sessions) {
        if (&session->token() != &token)
            continue;
        ++out.all;
        out.read_write += session->read_only() ? 0u : 1u;
    }
    return out;
}

void Module::stop() {
    for (const auto& token : m_tokens)
        token->channels().stop();
}

void Module::abandon_connections() {
    for (const auto& token : m_tokens)
        token->channels().abandon();
}

// ---- the one instance -----------------------------------------------------------------------------------------------

namespace {

struct Instance {
    std::mutex mutex;
    std::shared_ptr<Module> module;
    unsigned generation = 0; ///< in which `module` was made
};

/// Counts forks: what an older generation made is not this process's.
std::atomic<unsigned> g_generation{0};
std::atomic<Instance*> g_instance{nullptr};

/// A forked child may find the instance's lock taken by a thread that it has not got: it makes itself a new one and leaves the old where it is,
/// without its sockets. Secrets in it are zeros (locked pool).
Instance& instance() {
    static std::atomic<bool> watching{false};
    if (!watching.exchange(true))
        pthread_atfork(nullptr, nullptr, [] { ++g_generation; });
    Instance* now = g_instance.load();
    if (now != nullptr && now->generation == g_generation.load())
        return *now;
    auto* made = new Instance;
    made->generation = g_generation.load();
    if (g_instance.compare_exchange_strong(now, made)) {
        if (now != nullptr)
            client::inherited_sockets::close_all();
        return *made;
    }
    delete made;
    return *now;
}

CK_RV check_arguments(const CK_C_INITIALIZE_ARGS* args) {
    if (args == nullptr)
        return CKR_OK;
    if (args->pReserved != nullptr)
        return CKR_ARGUMENTS_BAD;
    const int callbacks = (args->CreateMutex != nullptr ? 1 : 0) + (args->DestroyMutex != nullptr ? 1 : 0) +
                          (args->LockMutex != nullptr ? 1 : 0) + (args->UnlockMutex != nullptr ? 1 : 0);
    if (callbacks != 0 && callbacks != 4)
        return CKR_ARGUMENTS_BAD;
    // The system's locks are the only ones that this library uses.
    if (callbacks == 4 && (args->flags & CKF_OS_LOCKING_OK) == 0)
        return CKR_CANT_LOCK;
    return CKR_OK;
}

} // namespace

std::shared_ptr<Module> current_module() {
    Instance* const now = g_instance.load();
    if (now == nullptr || now->generation != g_generation.load())
        return nullptr;
    const std::lock_guard lock(now->mutex);
    return now->module;
}

CK_RV initialize(const CK_C_INITIALIZE_ARGS* args) {
    if (const CK_RV code = check_arguments(args); code != CKR_OK)
        return code;
    Instance& here = instance();
    if (current_module())
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    client::use_foreign_limits();
    auto config = Config::load();
    if (!config) {
        log::error(config.error().detail);
        return CKR_GENERAL_ERROR;
    }
    log::set_level(config->log);
    auto module = std::make_shared<Module>(*config);
    const std::lock_guard lock(here.mutex);
    if (here.module)
        return CKR_CRYPTOKI_ALREADY_INITIALIZED;
    here.module = std::move(module);
    return CKR_OK;
}

CK_RV finalize() {
    if (!current_module())
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    Instance& here = instance();
    std::shared_ptr<Module> ended;
    {
        const std::lock_guard lock(here.mutex);
        ended.swap(here.module);
    }
    if (!ended)
        return CKR_CRYPTOKI_NOT_INITIALIZED;
    ended->stop();
    for (const auto& token : ended->tokens())
        token->logout();
    if (!client::OpenSslScope::usable())
        ended->abandon_connections();
    // Calls under way in other threads hold the module until they have noticed.
    return CKR_OK;
}

} // namespace keymeld::pkcs11
