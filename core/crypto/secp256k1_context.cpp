#include "core/crypto/secp256k1_context.h"

#include <algorithm>
#include <stdexcept>

#include <secp256k1.h>
#include <secp256k1_preallocated.h>

#include "core/secure/random.h"
#include "core/secure/secret.h"

namespace keymeld::crypto {
namespace {

thread_local bool t_misuse = false;

void note_misuse(const char*, void*) {
    t_misuse = true;
}

// In locked memory, because the context holds its blinding values.
class ThreadContext {
  public:
    ThreadContext()
        : m_memory(secp256k1_context_preallocated_size(SECP256K1_CONTEXT_NONE) + kMark.size()) {
        make();
    }
    ~ThreadContext() { secp256k1_context_preallocated_destroy(m_context); }
    ThreadContext(const ThreadContext&) = delete;
    ThreadContext& operator=(const ThreadContext&) = delete;

    // Locked memory is empty in a forked child: there the context is made anew.
    const secp256k1_context* get() {
        const ByteView end = ByteView(m_memory.expose()).last(kMark.size());
        if (!std::equal(end.begin(), end.end(), kMark.begin()))
            make();
        return m_context;
    }

  private:
    static constexpr ByteArray<2> kMark{0x5e, 0xc9};

    void make() {
        std::copy(kMark.begin(), kMark.end(), m_memory.expose_mut().end() - kMark.size());
        m_context = secp256k1_context_preallocated_create(m_memory.expose_mut().data(),
                                                          SECP256K1_CONTEXT_NONE);
        secp256k1_context_set_illegal_callback(m_context, note_misuse, nullptr);
        secp256k1_context_set_error_callback(m_context, note_misuse, nullptr);
        const auto seed = secure::random_secret<32>();
        if (secp256k1_context_randomize(m_context, seed.expose().data()) != 1)
            throw std::runtime_error("libsecp256k1 could not be blinded");
    }

    secure::SecretBytes m_memory;
    secp256k1_context* m_context = nullptr;
};

} // namespace

const secp256k1_context_struct* secp_context() {
    thread_local ThreadContext context;
    t_misuse = false;
    return context.get();
}

bool misuse_reported() {
    const bool reported = t_misuse;
    t_misuse = false;
    return reported;
}

} // namespace keymeld::crypto
