#include "enclave/signer/ledger_fact.h"

namespace keymeld::enclave {
namespace {

void put_tag(SecretWriter& out, FactTag tag) {
    out.u8(static_cast<std::uint8_t>(tag));
}

} // namespace

void NonceUsed::encode(SecretWriter& out) const {
    put_tag(out, FactTag::NonceUsed);
    out.u64(nonce);
    out.u64(use.word());
}

NonceUsed NonceUsed::decode(SecretReader& in) {
    NonceUsed fact;
    fact.nonce = in.u64();
    fact.use = NonceUse::from_word(in.u64());
    if (fact.nonce == 0)
        in.fail_now();
    return fact;
}

void SigningAccepted::encode(SecretWriter& out) const {
    put_tag(out, FactTag::SigningAccepted);
    out.raw(signing.view());
    out.raw(message);
    out.u64(nonce);
}

SigningAccepted SigningAccepted::decode(SecretReader& in) {
    SigningAccepted fact;
    fact.signing = in.id<SigningId>();
    fact.message = in.array<32>();
    fact.nonce = in.u64();
    return fact;
}

void ApprovalFact::encode(SecretWriter& out) const {
    out.u16(static_cast<std::uint16_t>(signer_index));
    out.u8(bound ? 1 : 0);
    out.u64(expires_at);
}

ApprovalFact ApprovalFact::decode(SecretReader& in) {
    ApprovalFact fact;
    fact.signer_index = in.u16();
    fact.bound = in.u8() != 0;
    fact.expires_at = in.u64();
    return fact;
}

void Approved::encode(SecretWriter& out) const {
    put_tag(out, FactTag::Approved);
    out.raw(signing.view());
    approval.encode(out);
}

Approved Approved::decode(SecretReader& in) {
    Approved fact;
    fact.signing = in.id<SigningId>();
    fact.approval = ApprovalFact::decode(in);
    return fact;
}

void SigningEnded::encode(SecretWriter& out) const {
    put_tag(out, FactTag::SigningEnded);
    out.raw(signing.view());
    out.u64(mark);
    out.u8(static_cast<std::uint8_t>(ending));
}

SigningEnded SigningEnded::decode(SecretReader& in) {
    SigningEnded fact;
    fact.signing = in.id<SigningId>();
    fact.mark = in.u64();
    const std::uint8_t ending = in.u8();
    if (fact.mark == 0 || ending < 1 || ending > 2)
        in.fail_now();
    fact.ending = static_cast<Ending>(ending);
    return fact;
}

void PeerSeen::encode(SecretWriter& out) const {
    put_tag(out, FactTag::PeerSeen);
    out.u16(enclave);
    out.u64(version);
}

PeerSeen PeerSeen::decode(SecretReader& in) {
    PeerSeen fact;
    fact.enclave = in.u16();
    fact.version = in.u64();
    return fact;
}

void PeerLife::encode(SecretWriter& out) const {
    put_tag(out, FactTag::PeerLife);
    out.u16(enclave);
    out.u64(incarnation.number);
    out.u64(incarnation.instance);
}

PeerLife PeerLife::decode(SecretReader& in) {
    PeerLife fact;
    fact.enclave = in.u16();
    fact.incarnation.number = in.u64();
    fact.incarnation.instance = in.u64();
    return fact;
}

} // namespace keymeld::enclave
