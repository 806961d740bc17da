// From KeyMeld's errors to the codes that a C caller gets.
#pragma once

#include "core/base/error.h"
#include "pkcs11/cryptoki.h"

namespace keymeld::pkcs11 {

/// What was going on: the same error means different things at login and at a signature.
enum class During { Login, Sign, Other };

/// Exhaustive: a new Errc does not compile until it is decided here.
CK_RV code_of(Errc error, During during);

/// True for what a repeat of the same request can mend.
bool is_transport(Errc error);

} // namespace keymeld::pkcs11
