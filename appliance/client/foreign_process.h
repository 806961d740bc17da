// This library in a process of somebody else.
//
// OpenSSL: a PKCS#11 module that uses the application's context is called back into itself when that context has the module loaded as a provider, and
// deadlocks. While a scope lives, every OpenSSL call of its thread that names no context uses a private one, which has the built-in
// default provider and reads no configuration. Errors that OpenSSL queues inside are taken off again.
#pragma once

#include <cstdint>

struct ossl_lib_ctx_st;

namespace keymeld::client {

/// Memory for secrets is locked as far as the process's limit allows, instead of failing (locked_pool.h). [startup]
void use_foreign_limits() noexcept;

/// One at the entry of every call from outside; scopes may nest. [any-thread]
class OpenSslScope {
  public:
    OpenSslScope();
    OpenSslScope(const OpenSslScope&) = delete;
    OpenSslScope& operator=(const OpenSslScope&) = delete;
    ~OpenSslScope();

    /// False once the process is past OpenSSL's own clean-up (its exit handler): then no OpenSSL object may be made, used or freed.
    static bool usable();

  private:
    ossl_lib_ctx_st* m_previous;
};

} // namespace keymeld::client
