#include "core/protocol/hello.h"

#include "core/protocol/enclave_link.h"
#include "core/protocol/failure.h"
#include "core/protocol/message.h"

namespace keymeld::protocol {
namespace {

constexpr std::size_t kMaxVersionText = 64;

using Request = wire::Request;
using Response = wire::Response;
template <int kCommand, int kResult> constexpr bool same() {
    static_assert(kCommand == kResult, "a command and its result have one field number: answers() compares them");
    return true;
}
static_assert(same<Request::kHello, Response::kHello>() && same<Request::kAttest, Response::kAttest>() &&
              same<Request::kPing, Response::kPing>() && same<Request::kCanary, Response::kCanary>() &&
              same<Request::kChallenge, Response::kChallenge>() &&
              same<Request::kIntroducePeer, Response::kIntroducePeer>() &&
              same<Request::kEscrowIdentity, Response::kEscrowIdentity>() &&
              same<Request::kKeepEscrow, Response::kKeepEscrow>() &&
              same<Request::kListEscrows, Response::kListEscrows>() &&
              same<Request::kHandOver, Response::kHandOver>() && same<Request::kTakeOver, Response::kTakeOver>() &&
              same<Request::kReportVersions, Response::kReportVersions>() &&
              same<Request::kKeepVersions, Response::kKeepVersions>() &&
              same<Request::kOpenKeygen, Response::kOpenKeygen>() &&
              same<Request::kJoinKeygen, Response::kJoinKeygen>() && same<Request::kRegister, Response::kRegister>() &&
              same<Request::kCompleteKeygen, Response::kCompleteKeygen>() &&
              same<Request::kFailKeygen, Response::kFailKeygen>() &&
              same<Request::kDeleteKeygen, Response::kDeleteKeygen>() && same<Request::kRestore, Response::kRestore>() &&
              same<Request::kAuthenticate, Response::kAuthenticate>() &&
              same<Request::kSignRound1, Response::kSignRound1>() &&
              same<Request::kSignRound2, Response::kSignRound2>() &&
              same<Request::kSignFinish, Response::kSignFinish>() && same<Request::kApprove, Response::kApprove>() &&
              same<Request::kReject, Response::kReject>() && same<Request::kCloseSigning, Response::kCloseSigning>());

/// The version is shown to people: what is not plain text is cut off.
std::string plain_text(const std::string& text) {
    const auto end = std::find_if(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; });
    return std::string(text.begin(), end).substr(0, kMaxVersionText);
}

} // namespace

wire::Request hello_request(std::uint64_t id, const ByteArray<32>& nonce) {
    wire::Request request;
    request.set_id(id);
    request.mutable_hello()->set_protocol_version(kProtocolVersion);
    request.mutable_hello()->set_nonce(nonce.data(), nonce.size());
    return request;
}

Status read_hello(const wire::Response& response, SignerHello& out) {
    if (response.has_failure())
        return to_error(response.failure());
    if (!response.has_hello())
        return fail(Errc::MalformedFrame, "the first answer is no hello");
    const wire::HelloResult& hello = response.hello();
    if (hello.protocol_version() != kProtocolVersion) {
        return fail(Errc::ProtocolMismatch, "the signer speaks protocol version " +
                                                std::to_string(hello.protocol_version()) + ", this program version " +
                                                std::to_string(kProtocolVersion));
    }
    auto boot_id = Uuid::from_bytes(as_bytes(hello.boot_id()));
    if (!boot_id || hello.public_key().size() != out.public_key.size() || hello.key_epoch() == 0 ||
        hello.attestation_document().empty())
        return fail(Errc::MalformedFrame, "the signer's hello is incomplete");
    out.boot_id = *boot_id;
    out.key_epoch = hello.key_epoch();
    out.key_generation_time = hello.key_generation_time();
    std::copy(hello.public_key().begin(), hello.public_key().end(), out.public_key.begin());
    out.attestation_document = to_bytes(as_bytes(hello.attestation_document()));
    out.signer_version = plain_text(hello.signer_version());
    out.sealing = plain_text(hello.sealing());
    out.may_take_over = hello.may_take_over();
    out.incarnation = hello.incarnation();
    return {};
}

Status check_hello(const wire::Request& request) {
    if (!request.has_hello())
        return fail(Errc::MalformedFrame, "a stream starts with Hello");
    if (request.hello().protocol_version() != kProtocolVersion) {
        return fail(Errc::ProtocolMismatch,
                    "this signer speaks protocol version " + std::to_string(kProtocolVersion));
    }
    if (request.hello().nonce().size() != ByteArray<32>().size())
        return fail(Errc::InvalidArgument, "the nonce of a Hello has 32 bytes");
    return {};
}

bool answers(wire::Request::CommandCase command, const wire::Response& response) {
    return static_cast<int>(command) == static_cast<int>(response.result_case());
}

} // namespace keymeld::protocol
