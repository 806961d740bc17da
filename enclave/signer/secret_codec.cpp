#include "enclave/signer/secret_codec.h"

#include <algorithm>

namespace keymeld::enclave {

std::uint8_t* SecretWriter::extend(std::size_t size) {
    if (m_size + size > m_buffer.size()) {
        secure::SecretBytes larger(
            std::max({m_buffer.size() * 2, m_size + size, std::size_t{256}}));
        if (m_size != 0)
            std::memcpy(larger.expose_mut().data(), m_buffer.expose().data(), m_size);
        m_buffer = std::move(larger);
    }
    std::uint8_t* const at = m_buffer.expose_mut().data() + m_size;
    m_size += size;
    return at;
}

void SecretWriter::number(std::uint64_t value, std::size_t size) {
    std::uint8_t* const at = extend(size);
    for (std::size_t i = 0; i < size; ++i)
        at[i] = static_cast<std::uint8_t>(value >> (8 * (size - 1 - i)));
}

void SecretWriter::raw(ByteView bytes) {
    if (!bytes.empty())
        std::memcpy(extend(bytes.size()), bytes.data(), bytes.size());
}

void SecretWriter::clear() {
    m_buffer.wipe();
    m_size = 0;
}

ByteView SecretReader::raw(std::size_t size) {
    if (m_failed || size > m_rest.size()) {
        m_failed = true;
        return {};
    }
    const ByteView out = m_rest.first(size);
    m_rest = m_rest.subspan(size);
    return out;
}

std::uint64_t SecretReader::number(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : raw(size))
        value = value << 8 | byte;
    return value;
}

bool SecretReader::fits(std::size_t count, std::size_t size) {
    if (m_failed || count > m_rest.size() / std::max<std::size_t>(size, 1))
        m_failed = true;
    return !m_failed;
}

Status SecretReader::done() const {
    if (m_failed || !m_rest.empty())
        return fail(Errc::SealBroken,
                    "sealed state does not have the form that this signer writes");
    return {};
}

} // namespace keymeld::enclave
