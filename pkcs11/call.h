// The edge of the library: what happens around every C_* function.
#pragma once

#include <new>
#include <optional>

#include "appliance/client/foreign_process.h"
#include "pkcs11/log.h"
#include "pkcs11/module.h"

namespace keymeld::pkcs11 {

/// Runs `body` with the library's own OpenSSL context; no exception leaves it.
template <class Body> CK_RV guarded(Body&& body) noexcept {
    try {
        std::optional<client::OpenSslScope> scope;
        if (client::OpenSslScope::usable())
            scope.emplace();
        return body();
    } catch (const std::bad_alloc&) {
        return CKR_HOST_MEMORY;
    } catch (const std::exception& error) {
        try {
            log::error(std::string("internal error: ") + error.what());
        } catch (...) {
        }
        return CKR_GENERAL_ERROR;
    } catch (...) {
        return CKR_GENERAL_ERROR;
    }
}

/// As guarded, with the initialised module, or CRYPTOKI_NOT_INITIALIZED.
template <class Body> CK_RV with_module(Body&& body) noexcept {
    return guarded([&body]() -> CK_RV {
        const std::shared_ptr<Module> module = current_module();
        return module ? body(*module) : CKR_CRYPTOKI_NOT_INITIALIZED;
    });
}

/// As with_module, with the session, or SESSION_HANDLE_INVALID.
template <class Body> CK_RV with_session(CK_SESSION_HANDLE handle, Body&& body) noexcept {
    return with_module([&body, handle](Module& module) -> CK_RV {
        const std::shared_ptr<Session> session = module.session(handle);
        return session ? body(*session, module) : CKR_SESSION_HANDLE_INVALID;
    });
}

} // namespace keymeld::pkcs11
