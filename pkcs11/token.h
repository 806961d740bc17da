// A tenant: one slot and its token. Credential store, login, keys, and the way to the appliance.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "pkcs11/attributes.h"
#include "pkcs11/channel.h"
#include "pkcs11/config.h"
#include "pkcs11/cryptoki.h"
#include "pkcs11/errors.h"
#include "pkcs11/key_ring.h"

namespace keymeld::pkcs11 {

/// What a login opened. Operations under way keep it until they end; with the last of them the secrets are wiped.
struct LoginState {
    secure::SecretArray<32> store_key;
    std::vector<client::KeySecrets> secrets; ///< in the order of the ring's keys
};

/// Keys and, after a login, their secrets, as they belong together.
struct TokenView {
    std::shared_ptr<const client::CredentialStore> store;
    std::shared_ptr<const client::Trust> trust;
    std::shared_ptr<const KeyRing> ring;
    std::shared_ptr<const LoginState> login; ///< null: not logged in
};

/// Thread rule: any thread. No lock is held while the file or the network is waited for.
class Token {
  public:
    /// Reads the store, but never touches the network. A store that cannot be used makes a token that is not recognised.
    Token(CK_SLOT_ID slot, TokenConfig config);

    CK_SLOT_ID slot() const { return m_slot; }
    const TokenConfig& config() const { return m_config; }
    /// The store's label; if it cannot be read, the file's name.
    std::string label() const;

    /// Whether the appliance answers; remembered for kPresenceTime, with `ask` only if it did.
    bool present(bool ask = false);
    /// OK, TOKEN_NOT_RECOGNIZED (no usable store), TOKEN_NOT_PRESENT.
    CK_RV check_present();

    CK_RV login(const unsigned char* pin, CK_ULONG pin_length);
    /// OK, or USER_NOT_LOGGED_IN.
    CK_RV logout();
    bool logged_in() const;
    CK_RV change_pin(ByteView old_pin, ByteView new_pin);

    TokenView view() const;
    /// Reads the store again if it is older than `refresh_secs` and the file has changed.
    void refresh(bool now = false);

    bool pin_count_low() const;

    /// Session objects of every session of this token.
    CK_RV add_session_object(CK_SESSION_HANDLE owner, std::shared_ptr<const SessionObject> object, CK_OBJECT_HANDLE& handle);
    CK_RV remove_session_object(CK_OBJECT_HANDLE handle);
    void session_closed(CK_SESSION_HANDLE session);

    /// An object that a caller may see now. It stays valid as long as this.
    struct Held {
        TokenView view;
        std::shared_ptr<const SessionObject> session_object;
        ObjectView object;
        bool found() const { return session_object != nullptr || object.found.key != nullptr; }
    };
    Held find(CK_OBJECT_HANDLE handle) const;
    std::vector<CK_OBJECT_HANDLE> find_all(std::span<const CK_ATTRIBUTE> wanted) const;

    ChannelPool& channels() { return m_channels; }
    ChannelPool::Lease channel(const client::CredentialStore& store);

  private:
    static constexpr std::chrono::seconds kPresenceTime{2};

    struct FileState {
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        std::int64_t size = -1;
        std::int64_t changed_ns = 0;
        bool operator==(const FileState&) const = default;
    };
    FileState file_state() const;
    /// Reads the file; sets m_store, m_ring. With a login: opens the secrets with its key, or ends the login.
    void read_store(bool first);
    Status check_appliance(const TokenView& now);
    /// Under the lock. FUNCTION_FAILED if `opened` is not what the token shows by now.
    CK_RV take_login(const TokenView& opened, secure::SecretArray<32> key, std::vector<client::KeySecrets> secrets);

    const CK_SLOT_ID m_slot;
    const TokenConfig m_config;
    ChannelPool m_channels;

    mutable std::mutex m_mutex;
    KnownHandles m_known_handles;
    TokenView m_view;
    std::string m_store_error;
    FileState m_file;
    SteadyTime m_read_at{};
    bool m_logging_in = false;
    bool m_pin_was_wrong = false;
    bool m_present = false;
    SteadyTime m_presence_checked{};
    struct Owned {
        CK_SESSION_HANDLE owner;
        std::shared_ptr<const SessionObject> object;
    };
    std::map<CK_OBJECT_HANDLE, Owned> m_session_objects;
};

/// Most session objects of one token.
inline constexpr std::size_t kMaxSessionObjects = 4096;

} // namespace keymeld::pkcs11
