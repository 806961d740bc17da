// The state between C_Initialize and C_Finalize, and the way every C_* call reaches it.
//
// Nothing here is destroyed at exit: a call may come in then (OpenSSL finalises its providers in an exit handler).
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "pkcs11/config.h"
#include "pkcs11/session.h"
#include "pkcs11/token.h"

namespace keymeld::pkcs11 {

class Module {
  public:
    explicit Module(const Config& config);

    const std::vector<std::shared_ptr<Token>>& tokens() const { return m_tokens; }
    /// Null: SLOT_ID_INVALID.
    Token* token(CK_SLOT_ID slot) const { return slot < m_tokens.size() ? m_tokens[slot].get() : nullptr; }

    CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, CK_SESSION_HANDLE& handle);
    CK_RV close_session(CK_SESSION_HANDLE handle);
    CK_RV close_all_sessions(CK_SLOT_ID slot);
    /// Null: SESSION_HANDLE_INVALID.
    std::shared_ptr<Session> session(CK_SESSION_HANDLE handle) const;
    bool has_read_only_session(const Token& token) const;
    struct Count {
        CK_ULONG all = 0;
        CK_ULONG read_write = 0;
    };
    Count sessions_of(const Token& token) const;

    /// Ends every wait for the network.
    void stop();
    /// Leaves connections to the end of the process, where OpenSSL is gone already.
    void abandon_connections();

  private:
    std::vector<std::shared_ptr<Token>> m_tokens;
    mutable std::mutex m_mutex;
    std::map<CK_SESSION_HANDLE, std::shared_ptr<Session>> m_sessions;
};

/// Most sessions at once.
inline constexpr std::size_t kMaxSessions = 4096;

/// Null while the library is not initialised, and in a forked child until it initialises again.
std::shared_ptr<Module> current_module();
/// As C_Initialize and C_Finalize return.
CK_RV initialize(const CK_C_INITIALIZE_ARGS* args);
CK_RV finalize();

} // namespace keymeld::pkcs11
