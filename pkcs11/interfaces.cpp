// C_GetFunctionList, C_GetInterface, C_GetInterfaceList: the tables of functions (PKCS#11 3.0, 5.4).
#include <cstring>
#include <iterator>

#include "pkcs11/cryptoki.h"
#include "pkcs11/functions_3_0.h"

namespace {

using namespace keymeld::pkcs11;

constexpr CK_FUNCTION_LIST kFunctions = {
    {2, 40},
    C_Initialize, C_Finalize, C_GetInfo, C_GetFunctionList, C_GetSlotList, C_GetSlotInfo, C_GetTokenInfo, C_GetMechanismList,
    C_GetMechanismInfo, C_InitToken, C_InitPIN, C_SetPIN, C_OpenSession, C_CloseSession, C_CloseAllSessions, C_GetSessionInfo,
    C_GetOperationState, C_SetOperationState, C_Login, C_Logout, C_CreateObject, C_CopyObject, C_DestroyObject, C_GetObjectSize,
    C_GetAttributeValue, C_SetAttributeValue, C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal, C_EncryptInit, C_Encrypt,
    C_EncryptUpdate, C_EncryptFinal, C_DecryptInit, C_Decrypt, C_DecryptUpdate, C_DecryptFinal, C_DigestInit, C_Digest, C_DigestUpdate,
    C_DigestKey, C_DigestFinal, C_SignInit, C_Sign, C_SignUpdate, C_SignFinal, C_SignRecoverInit, C_SignRecover, C_VerifyInit, C_Verify,
    C_VerifyUpdate, C_VerifyFinal, C_VerifyRecoverInit, C_VerifyRecover, C_DigestEncryptUpdate, C_DecryptDigestUpdate,
    C_SignEncryptUpdate, C_DecryptVerifyUpdate, C_GenerateKey, C_GenerateKeyPair, C_WrapKey, C_UnwrapKey, C_DeriveKey, C_SeedRandom,
    C_GenerateRandom, C_GetFunctionStatus, C_CancelFunction, C_WaitForSlotEvent,
};

// The tables have to be writable objects by type, and are never written.
constinit CK_FUNCTION_LIST g_functions_240 = kFunctions;

#define KEYMELD_MEMBER(name, parameters) CK_RV(*name) parameters;
/// CK_FUNCTION_LIST_3_0: the older list with another version, and the new functions behind it.
struct FunctionList300 {
    CK_FUNCTION_LIST older;
    KEYMELD_FUNCTIONS_3_0(KEYMELD_MEMBER)
};
static_assert(sizeof(FunctionList300) == (kFunctions300 + 1) * sizeof(void*));

constexpr CK_FUNCTION_LIST with_version(CK_FUNCTION_LIST list, CK_VERSION version) {
    list.version = version;
    return list;
}

#define KEYMELD_ENTRY(name, parameters) name,
constinit FunctionList300 g_functions_300 = {with_version(kFunctions, {3, 0}), KEYMELD_FUNCTIONS_3_0(KEYMELD_ENTRY)};

unsigned char g_name[] = "PKCS 11";
// Preferred first.
constinit CK_INTERFACE g_interfaces[] = {
    {g_name, &g_functions_300, CKF_INTERFACE_FORK_SAFE},
    {g_name, &g_functions_240, CKF_INTERFACE_FORK_SAFE},
};

} // namespace

CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
    if (list == nullptr)
        return CKR_ARGUMENTS_BAD;
    *list = &g_functions_240;
    return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE* interfaces, CK_ULONG* count) {
    if (count == nullptr)
        return CKR_ARGUMENTS_BAD;
    const CK_ULONG room = *count;
    *count = std::size(g_interfaces);
    if (interfaces == nullptr)
        return CKR_OK;
    if (room < std::size(g_interfaces))
        return CKR_BUFFER_TOO_SMALL;
    std::memcpy(interfaces, g_interfaces, sizeof g_interfaces);
    return CKR_OK;
}

CK_RV C_GetInterface(unsigned char* name, CK_VERSION* version, CK_INTERFACE** interface, CK_FLAGS flags) {
    if (interface == nullptr)
        return CKR_ARGUMENTS_BAD;
    for (CK_INTERFACE& offered : g_interfaces) {
        const auto* const list = static_cast<const CK_FUNCTION_LIST*>(offered.pFunctionList);
        if (name != nullptr && std::strcmp(reinterpret_cast<const char*>(name), reinterpret_cast<const char*>(g_name)) != 0)
            continue;
        if (version != nullptr && (version->major != list->version.major || version->minor != list->version.minor))
            continue;
        if ((flags & ~offered.flags) != 0)
            continue;
        *interface = &offered;
        return CKR_OK;
    }
    return CKR_FUNCTION_FAILED;
}
