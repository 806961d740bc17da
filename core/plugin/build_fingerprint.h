// What must be the same in a plugin and in the program that loads it, as one readable string
// literal: compiler, language and library versions, switches that change the layout of types, and
// the hash of the shared headers. NDEBUG changes no layout of ours and is not in it.
#pragma once

#include <version>

#include <boost/version.hpp>

#include "core/plugin/interface_hash.h"

#define KEYMELD_FP_TEXT_(x) #x
#define KEYMELD_FP_TEXT(x) KEYMELD_FP_TEXT_(x)

#if defined(__clang__)
#define KEYMELD_FP_COMPILER "clang " __clang_version__
#if __has_feature(address_sanitizer)
#define KEYMELD_FP_SANITIZER "address"
#elif __has_feature(thread_sanitizer)
#define KEYMELD_FP_SANITIZER "thread"
#endif
#elif defined(__GNUC__)
#define KEYMELD_FP_COMPILER "gcc " __VERSION__
#if defined(__SANITIZE_ADDRESS__)
#define KEYMELD_FP_SANITIZER "address"
#elif defined(__SANITIZE_THREAD__)
#define KEYMELD_FP_SANITIZER "thread"
#endif
#else
#error "unknown compiler: say here how to tell its version"
#endif
#if !defined(KEYMELD_FP_SANITIZER)
#define KEYMELD_FP_SANITIZER "none"
#endif

#if defined(_GLIBCXX_RELEASE)
#if defined(_GLIBCXX_DEBUG)
#define KEYMELD_FP_LIBRARY_MODE "-debug"
#else
#define KEYMELD_FP_LIBRARY_MODE ""
#endif
#define KEYMELD_FP_LIBRARY                                                                         \
    "libstdc++ " KEYMELD_FP_TEXT(__GLIBCXX__) KEYMELD_FP_LIBRARY_MODE                              \
        " abi " KEYMELD_FP_TEXT(_GLIBCXX_USE_CXX11_ABI)
#else
#error "unknown standard library: say here how to tell its version"
#endif

#define KEYMELD_BUILD_FINGERPRINT                                                                  \
    KEYMELD_FP_COMPILER "; c++ " KEYMELD_FP_TEXT(__cplusplus) "; abi " KEYMELD_FP_TEXT(            \
        __GXX_ABI_VERSION) "; " KEYMELD_FP_LIBRARY "; boost " BOOST_LIB_VERSION                    \
                           "; sanitizer " KEYMELD_FP_SANITIZER                                     \
                           "; interface " KEYMELD_INTERFACE_HASH
