// Two of three MuSig2 signers, by core/musig; the third is another implementation, on stdin and stdout (musig_interop.mjs).
//
//   in:  tweak <mode> <64 hex>        mode none, plain or xonly (the hex is ignored for none)
//        message <64 hex>
//        key <66 hex> <132 hex>       the foreign signer's public key and public nonce
//   out: keys <66 hex>,<66 hex>,<66 hex>   in aggregation order
//        nonces <132 hex>,...              in the same order
//        aggnonce <132 hex>   aggregate <66 hex>
//   in:  partial <64 hex>             the foreign share
//   out: signature <128 hex>          verified here under the aggregate key
#include <iostream>
#include <sstream>
#include <string>

#include "core/base/hex.h"
#include "core/musig/session_context.h"

namespace {

using namespace keymeld;

template <class T> T must(Result<T> result, const char* what) {
    if (!result) {
        std::cerr << "musig_peer: " << what << ": " << result.error().detail << "\n";
        std::exit(1);
    }
    return std::move(*result);
}

std::vector<std::string> read(const std::string& expected, std::size_t words) {
    std::string line;
    std::getline(std::cin, line);
    std::istringstream in(line);
    std::vector<std::string> out;
    for (std::string word; in >> word;)
        out.push_back(word);
    if (out.size() != words + 1 || out[0] != expected) {
        std::cerr << "musig_peer: expected a line " << expected << "\n";
        std::exit(1);
    }
    return out;
}

template <class T> std::string join(const std::vector<T>& values) {
    std::string out;
    for (const T& value : values)
        out += (out.empty() ? "" : ",") + hex_encode(value.bytes());
    return out;
}

} // namespace

int main() {
    const auto tweak_line = read("tweak", 2);
    std::vector<musig::Tweak> tweaks;
    if (tweak_line[1] != "none")
        tweaks.push_back({must(hex_decode_array<32>(tweak_line[2]), "tweak"),
                          tweak_line[1] == "plain" ? musig::TweakMode::Plain : musig::TweakMode::XOnly});
    const auto message = must(hex_decode_array<32>(read("message", 1)[1]), "message");
    const auto key_line = read("key", 2);
    const auto foreign_key = must(musig::PlainPubKey::parse(must(hex_decode(key_line[1]), "key")), "key");
    const auto foreign_nonce = must(musig::PubNonce::parse(must(hex_decode(key_line[2]), "nonce")), "nonce");

    const musig::SecretKey first = musig::SecretKey::generate();
    const musig::SecretKey second = musig::SecretKey::generate();
    const std::vector<musig::PlainPubKey> keys{first.public_key(), foreign_key, second.public_key()};
    const auto aggregate = must(musig::KeyAggContext::create(keys, tweaks), "aggregate");
    auto first_nonce = must(musig::nonce_gen(first, &aggregate, &message), "nonce_gen");
    auto second_nonce = must(musig::nonce_gen(second), "nonce_gen");
    const std::vector<musig::PubNonce> nonces{first_nonce.pub, foreign_nonce, second_nonce.pub};
    const auto aggnonce = must(musig::nonce_agg(nonces), "nonce_agg");
    std::cout << "keys " << join(keys) << "\nnonces " << join(nonces) << "\naggnonce " << hex_encode(aggnonce.bytes())
              << " aggregate " << aggregate.key().hex() << std::endl;

    const auto session = must(musig::SessionContext::create(aggnonce, message, aggregate), "session");
    const auto first_share = must(musig::partial_sign(std::move(first_nonce.secret), first, aggregate, session), "partial_sign");
    const auto second_share = must(musig::partial_sign(std::move(second_nonce.secret), second, aggregate, session), "partial_sign");
    const auto foreign_share =
        must(musig::PartialSignature::parse(must(hex_decode(read("partial", 1)[1]), "partial")), "partial");
    const Status right = musig::partial_sig_verify(foreign_share, foreign_nonce, musig::SignerIndex{1}, aggregate, session);
    if (!right) {
        std::cerr << "musig_peer: the foreign share does not verify\n";
        return 1;
    }
    const std::vector<musig::PartialSignature> shares{first_share, foreign_share, second_share};
    const auto signature = must(musig::aggregate_and_verify(aggregate, session, nonces, shares), "signature");
    std::cout << "signature " << signature.hex() << std::endl;
    return 0;
}
