#include "core/crypto/encrypted_data.h"

#include <algorithm>
#include <optional>

#include "core/base/hex.h"
#include "core/crypto/aead.h"
#include "core/crypto/hkdf.h"
#include "core/secure/random.h"

namespace keymeld::crypto {
namespace {

std::string_view context_text(DataContext context) {
    switch (context) {
    case DataContext::Signature:
        return "signature";
    case DataContext::Message:
        return "message";
    }
    return {};
}

std::string_view context_text(BinaryContext context) {
    switch (context) {
    case BinaryContext::SessionData:
        return "session_data";
    case BinaryContext::Signature:
        return "signature";
    }
    return {};
}

AeadKey context_key(const secure::SecretArray<32>& session_secret, DataContext context) {
    return hkdf_sha256_key(session_secret.expose(), as_bytes(context_text(context)));
}

void append_numbers(std::string& out, ByteView bytes) {
    out += '[';
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i != 0)
            out += ',';
        out += std::to_string(bytes[i]);
    }
    out += ']';
}

// Reads {"ciphertext":[...],"nonce":[...],"context":"..."} and nothing else. Every element takes at
// least two characters, so what is stored is bounded by the text.
class Reader {
  public:
    explicit Reader(std::string_view text) : m_rest(text) {}

    std::optional<Bytes> ciphertext;
    std::optional<Bytes> nonce;
    std::optional<std::string_view> context;

    bool read() {
        if (!take('{'))
            return false;
        do {
            std::string_view name;
            if (!string(name) || !take(':') || !member(name))
                return false;
        } while (take(','));
        return take('}') && (skip_space(), m_rest.empty()) && ciphertext && nonce && context;
    }

  private:
    bool member(std::string_view name) {
        if (name == "ciphertext" && !ciphertext)
            return numbers(ciphertext.emplace());
        if (name == "nonce" && !nonce)
            return numbers(nonce.emplace());
        if (name == "context" && !context)
            return string(context.emplace());
        return false;
    }

    bool numbers(Bytes& out) {
        if (!take('['))
            return false;
        if (take(']'))
            return true;
        const std::string_view list = m_rest.substr(0, m_rest.find(']'));
        out.reserve(1 + static_cast<std::size_t>(std::count(list.begin(), list.end(), ',')));
        do {
            if (!number(out.emplace_back()))
                return false;
        } while (take(','));
        return take(']');
    }

    bool number(std::uint8_t& out) {
        skip_space();
        unsigned value = 0;
        std::size_t digits = 0;
        while (digits < m_rest.size() && m_rest[digits] >= '0' && m_rest[digits] <= '9') {
            value = value * 10 + static_cast<unsigned>(m_rest[digits] - '0');
            ++digits;
            if (value > 255)
                return false;
        }
        if (digits == 0 || (digits > 1 && m_rest.front() == '0'))
            return false;
        m_rest.remove_prefix(digits);
        out = static_cast<std::uint8_t>(value);
        return true;
    }

    // Names and contexts need no escapes, so none are read.
    bool string(std::string_view& out) {
        if (!take('"'))
            return false;
        const std::size_t end = m_rest.find('"');
        if (end == std::string_view::npos)
            return false;
        out = m_rest.substr(0, end);
        m_rest.remove_prefix(end + 1);
        return true;
    }

    bool take(char c) {
        skip_space();
        if (m_rest.empty() || m_rest.front() != c)
            return false;
        m_rest.remove_prefix(1);
        return true;
    }

    void skip_space() {
        m_rest.remove_prefix(std::min(m_rest.find_first_not_of(" \t\r\n"), m_rest.size()));
    }

    std::string_view m_rest;
};

Error bad_form() {
    return fail(Errc::InvalidArgument, "not encrypted data in hex-JSON form");
}
Error data_does_not_open() {
    return fail(Errc::DecryptFailed,
                "encrypted data does not open with this session secret and context");
}

} // namespace

std::string encrypted_data_seal(const secure::SecretArray<32>& session_secret, DataContext context,
                                ByteView plaintext) {
    const AeadNonce nonce = secure::random_array<kAeadNonceSize>();
    const Bytes sealed = aes256gcm_seal(context_key(session_secret, context), nonce, plaintext);
    std::string json = "{\"ciphertext\":";
    append_numbers(json, sealed);
    json += ",\"nonce\":";
    append_numbers(json, nonce);
    json.append(",\"context\":\"").append(context_text(context)).append("\"}");
    return hex_encode(as_bytes(json));
}

Result<secure::SecretBytes> encrypted_data_open(const secure::SecretArray<32>& session_secret,
                                                DataContext expected, std::string_view hex_json) {
    if (hex_json.size() > kMaxEncryptedDataText)
        return bad_form();
    const auto json = hex_decode(hex_json);
    if (!json)
        return bad_form();
    Reader reader(as_text(*json));
    if (!reader.read() || reader.nonce->size() != kAeadNonceSize)
        return bad_form();
    if (*reader.context != context_text(expected))
        return data_does_not_open();
    AeadNonce nonce;
    std::copy_n(reader.nonce->begin(), nonce.size(), nonce.begin());
    auto plaintext =
        aes256gcm_open(context_key(session_secret, expected), nonce, *reader.ciphertext);
    if (!plaintext)
        return data_does_not_open();
    return plaintext;
}

std::string binary_data_seal(const secure::SecretArray<32>& secret, BinaryContext context,
                             ByteView plaintext) {
    const std::string_view name = context_text(context);
    const AeadNonce nonce = secure::random_array<kAeadNonceSize>();
    const Bytes sealed =
        aes256gcm_seal(hkdf_sha256_key(secret.expose(), as_bytes(name)), nonce, plaintext);
    Bytes out;
    out.reserve(1 + name.size() + nonce.size() + sealed.size());
    out.push_back(static_cast<std::uint8_t>(name.size()));
    out.insert(out.end(), name.begin(), name.end());
    out.insert(out.end(), nonce.begin(), nonce.end());
    out.insert(out.end(), sealed.begin(), sealed.end());
    return hex_encode(out);
}

Result<secure::SecretBytes> binary_data_open(const secure::SecretArray<32>& secret,
                                             BinaryContext expected, std::string_view hex) {
    const auto wrong = [] {
        return fail(Errc::InvalidArgument, "not encrypted data in binary form");
    };
    if (hex.size() > kMaxEncryptedDataText)
        return wrong();
    const auto bytes = hex_decode(hex);
    if (!bytes || bytes->empty())
        return wrong();
    ByteView rest(*bytes);
    const std::size_t length = rest.front();
    rest = rest.subspan(1);
    if (rest.size() < length + kAeadNonceSize + kAeadTagSize)
        return wrong();
    const std::string_view name = context_text(expected);
    if (as_text(rest.first(length)) != name)
        return data_does_not_open();
    rest = rest.subspan(length);
    AeadNonce nonce;
    std::copy_n(rest.begin(), nonce.size(), nonce.begin());
    auto plaintext = aes256gcm_open(hkdf_sha256_key(secret.expose(), as_bytes(name)), nonce,
                                    rest.subspan(nonce.size()));
    if (!plaintext)
        return data_does_not_open();
    return plaintext;
}

} // namespace keymeld::crypto
