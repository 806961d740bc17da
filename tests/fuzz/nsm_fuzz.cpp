// A security module that answers anything: the client gives a value or an error to every request,
// and the init takes random bytes from inside the answer or none.
#include "enclave/image/init/entropy.h"
#include "enclave/nsm/nsm_client.h"
#include "tests/fuzz/expect.h"

using namespace keymeld;
using namespace keymeld::nsm;

namespace {

class AnyAnswer final : public NsmTransport {
  public:
    explicit AnyAnswer(ByteView answer) : m_answer(answer) {}
    Result<Bytes> process(ByteView request) override {
        FUZZ_EXPECT(!request.empty() && request.size() <= kMaxRequest);
        return to_bytes(m_answer);
    }

  private:
    ByteView m_answer;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto taken = init::random_in({data, size});
    FUZZ_EXPECT(taken.empty() || (taken.size() >= 32 && taken.data() > data &&
                                  taken.data() + taken.size() == data + size));
    NsmClient client(std::make_unique<AnyAnswer>(ByteView(data, size)));
    const auto index = attestation::PcrIndex::of<16>();
    const auto honest = [](const auto& result) {
        return result || result.error().code == Errc::AttestationUnavailable;
    };
    ByteArray<512> random{};
    FUZZ_EXPECT(honest(client.get_random(random)));
    FUZZ_EXPECT(honest(client.describe()));
    FUZZ_EXPECT(honest(client.describe_pcr(index)));
    FUZZ_EXPECT(honest(client.extend_pcr(index, {})));
    FUZZ_EXPECT(honest(client.lock_pcr(index)));
    FUZZ_EXPECT(honest(client.lock_pcrs(16)));
    FUZZ_EXPECT(honest(client.attest(std::nullopt, std::nullopt, std::nullopt)));
    return 0;
}
