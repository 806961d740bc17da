#include "enclave/signer/blob_bindings.h"

namespace keymeld::enclave {

Status BlobBindings::check(Mark blob, Mark owner) const {
    const auto bound = m_owners.find(blob);
    if (bound && *bound != owner)
        return fail(Errc::BlobReused, "ciphertext was first used for another session or user");
    if (!bound && m_owners.size() >= m_capacity)
        return fail(Errc::Overloaded, "this enclave remembers as many ciphertexts as it can");
    return {};
}

void BlobBindings::bind(Mark blob, Mark owner) {
    if (!m_owners.find(blob))
        m_owners.set(blob, owner);
}

} // namespace keymeld::enclave
