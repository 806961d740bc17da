// The functions that PKCS#11 3.0 adds to 2.40, in the order of CK_FUNCTION_LIST_3_0. FUNCTION(name, parameters)
#pragma once

#include "pkcs11/cryptoki.h"

#define KEYMELD_FUNCTIONS_3_0(FUNCTION)                                                                                                     \
    FUNCTION(C_GetInterfaceList, (CK_INTERFACE * interfaces, CK_ULONG * count))                                                              \
    FUNCTION(C_GetInterface, (unsigned char* name, CK_VERSION* version, CK_INTERFACE** interface, CK_FLAGS flags))                           \
    FUNCTION(C_LoginUser, (CK_SESSION_HANDLE, CK_USER_TYPE, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG))                             \
    FUNCTION(C_SessionCancel, (CK_SESSION_HANDLE session, CK_FLAGS flags))                                                                   \
    FUNCTION(C_MessageEncryptInit, (CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE))                                                     \
    FUNCTION(C_EncryptMessage,                                                                                                               \
             (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG*))            \
    FUNCTION(C_EncryptMessageBegin, (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG))                                          \
    FUNCTION(C_EncryptMessageNext,                                                                                                           \
             (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG*, CK_FLAGS))                            \
    FUNCTION(C_MessageEncryptFinal, (CK_SESSION_HANDLE))                                                                                     \
    FUNCTION(C_MessageDecryptInit, (CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE))                                                     \
    FUNCTION(C_DecryptMessage,                                                                                                               \
             (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG*))            \
    FUNCTION(C_DecryptMessageBegin, (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG))                                          \
    FUNCTION(C_DecryptMessageNext,                                                                                                           \
             (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG*, CK_FLAGS))                            \
    FUNCTION(C_MessageDecryptFinal, (CK_SESSION_HANDLE))                                                                                     \
    FUNCTION(C_MessageSignInit, (CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE))                                                        \
    FUNCTION(C_SignMessage, (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG*))                       \
    FUNCTION(C_SignMessageBegin, (CK_SESSION_HANDLE, void*, CK_ULONG))                                                                       \
    FUNCTION(C_SignMessageNext, (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG*))                   \
    FUNCTION(C_MessageSignFinal, (CK_SESSION_HANDLE))                                                                                        \
    FUNCTION(C_MessageVerifyInit, (CK_SESSION_HANDLE, CK_MECHANISM*, CK_OBJECT_HANDLE))                                                      \
    FUNCTION(C_VerifyMessage, (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG))                      \
    FUNCTION(C_VerifyMessageBegin, (CK_SESSION_HANDLE, void*, CK_ULONG))                                                                     \
    FUNCTION(C_VerifyMessageNext, (CK_SESSION_HANDLE, void*, CK_ULONG, unsigned char*, CK_ULONG, unsigned char*, CK_ULONG))                  \
    FUNCTION(C_MessageVerifyFinal, (CK_SESSION_HANDLE))

#define KEYMELD_DECLARE_3_0(name, parameters) extern "C" __attribute__((visibility("default"))) CK_RV name parameters;
KEYMELD_FUNCTIONS_3_0(KEYMELD_DECLARE_3_0)
#undef KEYMELD_DECLARE_3_0
