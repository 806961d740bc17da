// The ioctl itself runs in the enclave under QEMU (tests/e2e); here its refusals.
#include "enclave/nsm/nsm_device.h"

#include <gtest/gtest.h>

namespace keymeld::nsm {
namespace {

TEST(NsmDevice, SaysThatThereIsNone) {
    const auto device = NsmDevice::open("/dev/there-is-no-nsm");
    ASSERT_FALSE(device);
    EXPECT_EQ(device.error().code, Errc::AttestationUnavailable);
}

TEST(NsmDevice, ReportsADeviceThatRefusesTheRequest) {
    const auto device = NsmDevice::open("/dev/null");
    ASSERT_TRUE(device) << device.error().detail;
    const auto answer = (*device)->process(as_bytes("request"));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, Errc::Io);
}

TEST(NsmDevice, BoundsTheRequest) {
    const auto device = NsmDevice::open("/dev/null");
    ASSERT_TRUE(device) << device.error().detail;
    for (const std::size_t size : {std::size_t{0}, kMaxRequest + 1}) {
        const auto answer = (*device)->process(Bytes(size, 0));
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Errc::InvalidArgument);
    }
}

} // namespace
} // namespace keymeld::nsm
