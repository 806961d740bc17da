#include "core/attestation/certificate_chain.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "core/attestation/check.h"
#include "tests/unit/attestation/forge.h"

namespace keymeld::attestation::test {
namespace {

using Check = AttestationCheck;

/// A good chain, whose leaf or last CA a test replaces.
class Chain : public testing::Test {
  protected:
    using Rule = Status (CertificateChain::*)() const;

    static void expect(const Status& status, Check check) {
        ASSERT_FALSE(status);
        EXPECT_EQ(failed_check(status.error()), check) << status.error().detail;
    }
    void form_refused() {
        const auto chain = CertificateChain::parse(document.cabundle, document.certificate);
        ASSERT_FALSE(chain);
        EXPECT_EQ(failed_check(chain.error()), Check::ChainForm) << chain.error().detail;
    }
    Status apply(Rule rule) {
        const auto chain = CertificateChain::parse(document.cabundle, document.certificate);
        EXPECT_TRUE(chain) << chain.error().detail;
        return chain ? (*chain.*rule)() : Status(chain.error());
    }
    void change_leaf(const std::function<void(X509*)>& change,
                     const EVP_MD* digest = EVP_sha384()) {
        document = forge.document();
        document.certificate = rework(document.certificate, forge.zone_key, change, digest);
    }
    void change_zone(const std::function<void(X509*)>& change) {
        document = forge.document();
        document.cabundle[2] = rework(document.cabundle[2], forge.region_key, change);
    }

    Forge forge = Forge::make();
    AttestationDocument document = forge.document();
};

void add(X509* x509, int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    ASSERT_NE(extension, nullptr);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

void remove(X509* x509, int nid) {
    X509_EXTENSION_free(X509_delete_ext(x509, X509_get_ext_by_NID(x509, nid, -1)));
}

void set_key(X509* x509, const char* type, const char* curve) {
    EVP_PKEY* key = curve ? EVP_PKEY_Q_keygen(nullptr, nullptr, type, curve)
                          : EVP_PKEY_Q_keygen(nullptr, nullptr, type);
    ASSERT_NE(key, nullptr);
    X509_set_pubkey(x509, key);
    EVP_PKEY_free(key);
}

TEST_F(Chain, AcceptsAGoodOne) {
    EXPECT_TRUE(apply(&CertificateChain::names));
    EXPECT_TRUE(apply(&CertificateChain::signatures));
    EXPECT_TRUE(apply(&CertificateChain::constraints));
    EXPECT_TRUE(apply(&CertificateChain::key_usage));
    const auto chain = CertificateChain::parse(document.cabundle, document.certificate);
    ASSERT_TRUE(chain);
    EXPECT_TRUE(chain->validity(kNow));
    EXPECT_EQ(chain->leaf_key(), forge.leaf_key.public_key());
    EXPECT_TRUE(CertificateChain::check_root(forge.root));
}

TEST_F(Chain, RefusesOtherKeys) {
    change_leaf([](X509* x509) { set_key(x509, "EC", "P-256"); });
    form_refused();
    change_leaf([](X509* x509) { set_key(x509, "EC", "P-521"); });
    form_refused();
    change_leaf([](X509* x509) { set_key(x509, "ED25519", nullptr); });
    form_refused();
}

TEST_F(Chain, RefusesOtherForms) {
    change_leaf([](X509* x509) { X509_set_version(x509, 0); });
    form_refused();
    change_leaf([](X509* x509) { X509_set_version(x509, 1); });
    form_refused();
    document = forge.document();
    document.certificate.push_back(0);
    form_refused();
    document = forge.document();
    document.certificate.pop_back();
    form_refused();
    document.certificate = Bytes(64, 0);
    form_refused();
    document.certificate = to_bytes(as_bytes(certificate_pem(forge.root)));
    form_refused();
}

TEST_F(Chain, RefusesCriticalExtensionsThatItDoesNotKnow) {
    change_leaf([](X509* x509) { add(x509, NID_ext_key_usage, "critical,clientAuth"); });
    form_refused();
    change_zone(
        [](X509* x509) { add(x509, NID_name_constraints, "critical,permitted;DNS:example.org"); });
    form_refused();
    change_leaf([](X509* x509) { add(x509, NID_ext_key_usage, "clientAuth"); });
    EXPECT_TRUE(CertificateChain::parse(document.cabundle, document.certificate));
}

TEST_F(Chain, RefusesOtherSignatureAlgorithms) {
    change_leaf([](X509*) {}, EVP_sha256());
    expect(apply(&CertificateChain::signatures), Check::ChainSignatures);
    change_leaf([](X509*) {}, EVP_sha512());
    expect(apply(&CertificateChain::signatures), Check::ChainSignatures);
    change_leaf([](X509*) {});
    EXPECT_TRUE(apply(&CertificateChain::signatures));
}

TEST_F(Chain, RefusesConstraintsThatAreNotCriticalOrNotThere) {
    change_zone([](X509* x509) { remove(x509, NID_basic_constraints); });
    expect(apply(&CertificateChain::constraints), Check::ChainConstraints);
    change_zone([](X509* x509) {
        remove(x509, NID_basic_constraints);
        add(x509, NID_basic_constraints, "CA:TRUE");
    });
    expect(apply(&CertificateChain::constraints), Check::ChainConstraints);
    change_zone([](X509* x509) {
        remove(x509, NID_basic_constraints);
        add(x509, NID_basic_constraints, "critical,CA:TRUE");
    });
    EXPECT_TRUE(apply(&CertificateChain::constraints));
    change_zone([](X509* x509) { add(x509, NID_basic_constraints, "critical,CA:TRUE"); });
    expect(apply(&CertificateChain::constraints), Check::ChainConstraints); // twice
    change_leaf([](X509* x509) { add(x509, NID_basic_constraints, "critical,CA:FALSE"); });
    expect(apply(&CertificateChain::constraints), Check::ChainConstraints); // twice
    change_leaf([](X509* x509) { remove(x509, NID_basic_constraints); });
    EXPECT_TRUE(apply(&CertificateChain::constraints));
}

TEST_F(Chain, RefusesCertificatesWithoutKeyUsage) {
    change_zone([](X509* x509) { remove(x509, NID_key_usage); });
    expect(apply(&CertificateChain::key_usage), Check::ChainKeyUsage);
    change_leaf([](X509* x509) { remove(x509, NID_key_usage); });
    expect(apply(&CertificateChain::key_usage), Check::ChainKeyUsage);
    change_leaf([](X509* x509) { add(x509, NID_key_usage, "digitalSignature"); });
    expect(apply(&CertificateChain::key_usage), Check::ChainKeyUsage); // twice
}

TEST_F(Chain, RefusesEmptyNames) {
    forge.zone.subject = forge.leaf.issuer = {};
    document = forge.document();
    expect(apply(&CertificateChain::names), Check::ChainNames);
}

TEST_F(Chain, NamesTheCertificateAtFault) {
    forge.zone.not_after = kNow - 1;
    document = forge.document();
    const auto chain = CertificateChain::parse(document.cabundle, document.certificate);
    ASSERT_TRUE(chain);
    EXPECT_EQ(chain->validity(kNow).error().detail, "chain_validity: cabundle[2] has expired");
    EXPECT_EQ(chain->validity(0).error().detail, "chain_validity: root is not yet valid");
    EXPECT_FALSE(chain->validity(std::numeric_limits<std::uint64_t>::max()));
    EXPECT_FALSE(chain->validity(std::numeric_limits<std::int64_t>::max()));
}

TEST_F(Chain, ChecksRootsByTheirOwnSignature) {
    EXPECT_FALSE(CertificateChain::check_root(document.cabundle[1]));
    EXPECT_FALSE(CertificateChain::check_root(document.certificate));
    const Bytes usurped = rework(forge.root, SigningKey::generate().value(), [](X509*) {});
    expect(CertificateChain::check_root(usurped), Check::ChainSignatures);
}

} // namespace
} // namespace keymeld::attestation::test
