#include "enclave/platform.h"

#include "core/secure/random.h"

namespace keymeld::enclave {

Status stir_module_randomness(nsm::NsmClient& nsm) {
    secure::SecretArray<64> bytes;
    KEYMELD_CHECK(nsm.get_random(bytes.expose_mut()));
    secure::stir_random(bytes.expose());
    return {};
}

} // namespace keymeld::enclave
