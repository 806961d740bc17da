#include <gtest/gtest.h>

#include "pkcs11/cryptoki.h"
#include "tests/unit/pkcs11/nss_layout.h"

namespace keymeld::pkcs11 {

TEST(Cryptoki, HasTheLayoutOfAnotherHeader) {
    const NssLayout other = nss_layout();
    EXPECT_EQ(other.interface_size, sizeof(CK_INTERFACE));
    EXPECT_EQ(other.interface_functions, offsetof(CK_INTERFACE, pFunctionList));
    EXPECT_EQ(other.interface_flags, offsetof(CK_INTERFACE, flags));
    EXPECT_EQ(other.list_size, (kFunctions300 + 1) * sizeof(void*));
    EXPECT_EQ(other.first_new, sizeof(CK_FUNCTION_LIST));
    EXPECT_EQ(other.last_new, kFunctions300 * sizeof(void*));
    EXPECT_EQ(other.mechanism_size, sizeof(CK_MECHANISM));
    EXPECT_EQ(other.attribute_size, sizeof(CK_ATTRIBUTE));
    EXPECT_EQ(other.fork_safe, CKF_INTERFACE_FORK_SAFE);
    EXPECT_EQ(other.cancel_failed, CKR_OPERATION_CANCEL_FAILED);
    EXPECT_EQ(other.vendor_mechanism, CKM_VENDOR_DEFINED);
    EXPECT_EQ(other.vendor_attribute, CKA_VENDOR_DEFINED);
}

} // namespace keymeld::pkcs11
