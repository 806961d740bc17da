#include "appliance/client/foreign_process.h"

#include <new>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "core/secure/locked_pool.h"

namespace keymeld::client {
namespace {

// Never freed: what core/crypto has fetched once lives in it until the process ends.
OSSL_LIB_CTX* private_context() {
    static OSSL_LIB_CTX* const context = OSSL_LIB_CTX_new();
    if (context == nullptr)
        throw std::bad_alloc();
    return context;
}

} // namespace

void use_foreign_limits() noexcept { secure::locked_pool::allow_unlocked(); }

OpenSslScope::OpenSslScope() : m_previous(OSSL_LIB_CTX_set0_default(private_context())) { ERR_set_mark(); }

OpenSslScope::~OpenSslScope() {
    ERR_pop_to_mark();
    OSSL_LIB_CTX_set0_default(m_previous);
}

bool OpenSslScope::usable() { return OPENSSL_init_crypto(0, nullptr) == 1; }

} // namespace keymeld::client
