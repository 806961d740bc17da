// PKCS#11 as p11-kit's header has it (2.40), the parts of 3.0 that it lacks, and KeyMeld's own numbers.
//
// Source: OASIS PKCS#11 base specification 2.40 and 3.0. The layout of what is declared here is checked against another header in
// tests/pkcs11/cryptoki_layout_test.cpp.
#pragma once

#include <cstddef>

// The C_* functions are what this library exports; everything else in it is hidden.
#pragma GCC visibility push(default)
#include <p11-kit/pkcs11.h>
#pragma GCC visibility pop

#ifndef CKF_INTERFACE_FORK_SAFE
#define CKF_INTERFACE_FORK_SAFE 0x00000001UL

struct CK_INTERFACE {
    unsigned char* pInterfaceName;
    void* pFunctionList;
    CK_FLAGS flags;
};
using CK_INTERFACE_PTR = CK_INTERFACE*;
using CK_INTERFACE_PTR_PTR = CK_INTERFACE**;
#endif
static_assert(sizeof(CK_INTERFACE) == 3 * sizeof(void*) && offsetof(CK_INTERFACE, pFunctionList) == sizeof(void*) &&
              offsetof(CK_INTERFACE, flags) == 2 * sizeof(void*));

#ifndef CKF_FIND_OBJECTS
#define CKF_FIND_OBJECTS 0x00000040UL // C_SessionCancel
#endif
#ifndef CKR_OPERATION_CANCEL_FAILED
#define CKR_OPERATION_CANCEL_FAILED 0x00000202UL
#endif
#ifndef CKA_PROFILE_ID
#define CKA_PROFILE_ID 0x00000601UL
#endif

// "KM" in the middle, so that they meet nobody else's.
#define CKM_KEYMELD_SCHNORR_BIP340 (CKM_VENDOR_DEFINED | 0x4B4D4401UL)
#define CKA_KEYMELD_KIND (CKA_VENDOR_DEFINED | 0x4B4D4401UL)           // "musig2" or "single"
#define CKA_KEYMELD_X_ONLY_KEY (CKA_VENDOR_DEFINED | 0x4B4D4402UL)     // 32 bytes
#define CKA_KEYMELD_PARTICIPANTS (CKA_VENDOR_DEFINED | 0x4B4D4403UL)   // user ids, 16 bytes each, the coordinator first
#define CKA_KEYMELD_KEYGEN_SESSION (CKA_VENDOR_DEFINED | 0x4B4D4404UL) // 16 bytes

namespace keymeld::pkcs11 {

/// Parameter of CKM_KEYMELD_SCHNORR_BIP340 on a single key, for a Taproot output key. NULL: the key as it is.
struct SchnorrParams {
    CK_ULONG version; ///< 1
    CK_FLAGS flags;   ///< 1: tweak as BIP-341 does for a key path; the merkle root may be absent
    unsigned char* merkle_root;
    CK_ULONG merkle_root_length; ///< 0 or 32
};

/// CK_FUNCTION_LIST_3_0: the 68 functions of 2.40 in the same order, then those of 3.0. A pointer for each.
inline constexpr std::size_t kFunctions240 = 68;
inline constexpr std::size_t kFunctions300 = kFunctions240 + 24;
static_assert(sizeof(CK_FUNCTION_LIST) == (kFunctions240 + 1) * sizeof(void*), "version, then one pointer for each function");

} // namespace keymeld::pkcs11
