#include <filesystem>
#include <fstream>

#include <boost/asio/ssl.hpp>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/unit/appliance/http/server_fixture.h"

namespace keymeld::http::test {
namespace {

namespace ssl = asio::ssl;
namespace fs = std::filesystem;

/// A key and a certificate of its own in PEM files; a CA if it signs itself.
struct Identity {
    std::shared_ptr<EVP_PKEY> key{EVP_EC_gen("P-256"), EVP_PKEY_free};
    std::shared_ptr<X509> certificate{X509_new(), X509_free};

    Identity(const char* name, const Identity* issuer) {
        X509_set_version(certificate.get(), 2);
        static long serial = 1;
        ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
        X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
        X509_set_pubkey(certificate.get(), key.get());
        X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
        const Identity& by = issuer == nullptr ? *this : *issuer;
        X509_set_issuer_name(certificate.get(), X509_get_subject_name(by.certificate.get()));
        const char* constraint = issuer == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE";
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, constraint);
        X509_add_ext(certificate.get(), extension, -1);
        X509_EXTENSION_free(extension);
        X509_sign(certificate.get(), by.key.get(), EVP_sha256());
    }
    void write(const fs::path& certificate_file, const fs::path& key_file) const {
        const auto close = [](std::FILE* f) { std::fclose(f); };
        const std::unique_ptr<std::FILE, decltype(close)> c(std::fopen(certificate_file.c_str(), "w"), close);
        PEM_write_X509(c.get(), certificate.get());
        const std::unique_ptr<std::FILE, decltype(close)> k(std::fopen(key_file.c_str(), "w"), close);
        PEM_write_PrivateKey(k.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    }
};

class Tls : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "keymeld-tls-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder = name;
        server.write(folder / "server.pem", folder / "server.key");
        ca.write(folder / "ca.pem", folder / "ca.key");
        client.write(folder / "client.pem", folder / "client.key");
        stranger.write(folder / "stranger.pem", folder / "stranger.key");
    }
    void TearDown() override { fs::remove_all(folder); }

    std::shared_ptr<TlsContext> context(const fs::path& client_ca = {}) {
        return TlsContext::load(folder / "server.pem", folder / "server.key", client_ca).value();
    }

    /// The answer to one GET, or "" if TLS or the connection failed.
    std::string get(std::uint16_t port, ssl::context& tls, const std::string& path = "/a") {
        asio::io_context loop;
        ssl::stream<tcp::socket> stream(loop, tls);
        boost::system::error_code error;
        stream.lowest_layer().connect({asio::ip::address_v4::loopback(), port}, error);
        stream.handshake(ssl::stream_base::client, error);
        if (error)
            return "";
        asio::write(stream, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), error);
        std::string out;
        while (!error) {
            char data[1024];
            const std::size_t n = stream.read_some(asio::buffer(data), error);
            out.append(data, n);
        }
        truncated = error != asio::error::eof;
        return out;
    }

    Identity server{"server", nullptr};
    Identity ca{"client CA", nullptr};
    Identity client{"client", &ca};
    Identity stranger{"stranger", nullptr};
    fs::path folder;
    bool truncated = false;
};

TEST_F(Tls, ServesTls13AndSaysGoodbye) {
    RunningServer running({}, context());
    ssl::context tls(ssl::context::tlsv13_client);
    tls.load_verify_file((folder / "server.pem").string());
    tls.set_verify_mode(ssl::verify_peer);
    const std::string answer = get(running.port, tls);
    EXPECT_NE(answer.find("GET /a 127.0.0.1 api"), std::string::npos) << answer;
    EXPECT_FALSE(truncated);
}

TEST_F(Tls, StreamsEventsToTheirEnd) {
    RunningServer running({}, context());
    ssl::context tls(ssl::context::tlsv13_client);
    const std::string events = get(running.port, tls, "/ticks");
    EXPECT_NE(events.find("data: 1\n\ndata: 2\n\ndata: 3\n\n"), std::string::npos) << events;
    EXPECT_FALSE(truncated);
    EXPECT_EQ(running.service.streams, 0);
}

TEST_F(Tls, RefusesOlderVersionsAndPlainHttp) {
    RunningServer running({}, context());
    ssl::context old(ssl::context::tlsv12_client);
    EXPECT_EQ(get(running.port, old), "");
    RawClient plain(running.port);
    plain.get("/a");
    EXPECT_EQ(plain.reply().status, 0u);
    EXPECT_EQ(running.service.handled, 0);
}

TEST_F(Tls, MutualTlsNeedsACertificateOfTheCaAndNamesTheClientByIt) {
    RunningServer running({}, context(folder / "ca.pem"));
    ssl::context without(ssl::context::tlsv13_client);
    EXPECT_EQ(get(running.port, without), "");
    ssl::context wrong(ssl::context::tlsv13_client);
    wrong.use_certificate_chain_file((folder / "stranger.pem").string());
    wrong.use_private_key_file((folder / "stranger.key").string(), ssl::context::pem);
    EXPECT_EQ(get(running.port, wrong), "");
    EXPECT_EQ(running.service.handled, 0);

    ssl::context right(ssl::context::tlsv13_client);
    right.use_certificate_chain_file((folder / "client.pem").string());
    right.use_private_key_file((folder / "client.key").string(), ssl::context::pem);
    const std::string answer = get(running.port, right);
    EXPECT_NE(answer.find("GET /a certificate "), std::string::npos) << answer;
}

TEST_F(Tls, ARealHandshakeIsWaitedForOnlySoLong) {
    RunningServer running({.header_time = std::chrono::seconds(1)}, context());
    RawClient silent(running.port);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_TRUE(silent.closed());
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST_F(Tls, SaysWhichFileIsWrong) {
    const auto detail = [&](const fs::path& certificate, const fs::path& key, const fs::path& client_ca) {
        const auto loaded = TlsContext::load(certificate, key, client_ca);
        EXPECT_FALSE(loaded.has_value());
        return loaded ? std::string() : loaded.error().detail;
    };
    EXPECT_NE(detail(folder / "no.pem", folder / "server.key", {}).find("no.pem"), std::string::npos);
    EXPECT_NE(detail(folder / "server.pem", folder / "no.key", {}).find("no.key"), std::string::npos);
    EXPECT_NE(detail(folder / "server.pem", folder / "ca.key", {}).find("ca.key"), std::string::npos);
    EXPECT_NE(detail(folder / "server.pem", folder / "server.key", folder / "server.key").find("client_ca"), std::string::npos);
}

} // namespace
} // namespace keymeld::http::test
