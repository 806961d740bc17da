#include "tests/unit/pkcs11/nss_layout.h"

#include <pkcs11.h>

NssLayout nss_layout() {
    return {sizeof(CK_INTERFACE),
            offsetof(CK_INTERFACE, pFunctionList),
            offsetof(CK_INTERFACE, flags),
            sizeof(CK_FUNCTION_LIST_3_0),
            offsetof(CK_FUNCTION_LIST_3_0, C_GetInterfaceList),
            offsetof(CK_FUNCTION_LIST_3_0, C_MessageVerifyFinal),
            sizeof(CK_MECHANISM),
            sizeof(CK_ATTRIBUTE),
            CKF_INTERFACE_FORK_SAFE,
            CKR_OPERATION_CANCEL_FAILED,
            CKM_VENDOR_DEFINED,
            CKA_VENDOR_DEFINED};
}
