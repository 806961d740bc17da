// What makes this library safe to unload and safe at exit.
//
// The linker takes these two instead of the C++ runtime's, for this library only (they are hidden). So no object of static storage in it is
// ever destroyed: not ours, not Boost's. A process that calls C_Finalize from an exit handler, as OpenSSL does with its providers, finds
// everything as it was. Objects of threads are destroyed when their thread ends, through a key that the library takes back when it is
// unloaded, so that a thread that ends later runs nothing that is gone; the C++ runtime's way would keep the library loaded until then.
#include <cstddef>
#include <cstdlib>

#include <pthread.h>

#include "pkcs11/call.h"

namespace {

struct ThreadObject {
    void (*destroy)(void*);
    void* object;
    ThreadObject* next;
};

pthread_key_t g_key;
pthread_once_t g_once = PTHREAD_ONCE_INIT;
bool g_key_made = false;

void destroy_objects(void* first) {
    auto* at = static_cast<ThreadObject*>(first);
    while (at != nullptr) {
        ThreadObject* const next = at->next;
        at->destroy(at->object);
        std::free(at);
        at = next;
    }
}

void make_key() { g_key_made = pthread_key_create(&g_key, destroy_objects) == 0; }

__attribute__((destructor)) void unload() {
    // A caller that forgot C_Finalize: connections are closed and secrets wiped all the same.
    (void)keymeld::pkcs11::guarded([] { return keymeld::pkcs11::finalize(); });
    // Objects of this thread and of others stay allocated: at exit they may still be in use, and after dlclose nobody knows of them.
    if (g_key_made)
        pthread_key_delete(g_key);
}

} // namespace

extern "C" {

__attribute__((visibility("hidden"))) int __cxa_atexit(void (*)(void*), void*, void*);
__attribute__((visibility("hidden"))) int __cxa_thread_atexit(void (*)(void*), void*, void*);

int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }

int __cxa_thread_atexit(void (*destroy)(void*), void* object, void*) {
    pthread_once(&g_once, make_key);
    if (!g_key_made)
        return -1;
    auto* const added = static_cast<ThreadObject*>(std::malloc(sizeof(ThreadObject)));
    if (added == nullptr)
        return -1;
    *added = {destroy, object, static_cast<ThreadObject*>(pthread_getspecific(g_key))};
    return pthread_setspecific(g_key, added);
}

} // extern "C"
