"""OpenSSL against the module: the pkcs11 engine (libp11) and the pkcs11-provider, in both orders of providers."""
import glob
import os
import unittest

from rig import MODULE, PIN, Rig, RigTest

URI = "pkcs11:token=treasury;object=hot"
# scripts/get-pkcs11-provider puts it there where the release has no package of it.
PROVIDER = glob.glob("/usr/lib/*/ossl-modules/pkcs11.so") or glob.glob(
    os.path.join(os.environ["KEYMELD_SOURCE_DIR"], ".cache/pkcs11-provider/usr/lib/*/ossl-modules/pkcs11.so"))


class OpenSsl(RigTest):
    @classmethod
    def make_rig(cls):
        rig = Rig()
        rig.store("treasury")
        rig.configure("generate_keys: true")
        rig.pkcs11_tool("--keypairgen", "--key-type", "EC:secp256k1", "--label", "hot", login=True)
        rig.write("data", "pay Carol\n")
        rig.write("engine.cnf", "openssl_conf = start\n[start]\nengines = engines\n[engines]\npkcs11 = pkcs11_engine\n[pkcs11_engine]\n"
                  f"engine_id = pkcs11\nMODULE_PATH = {MODULE}\nPIN = {PIN}\ninit = 0\n[req]\ndistinguished_name = dn\n[dn]\n")
        if PROVIDER:
            rig.write("provider.cnf", "openssl_conf = start\n[start]\nproviders = providers\n[providers]\npkcs11 = pkcs11_section\n"
                      f"default = default_section\n[default_section]\nactivate = 1\n[pkcs11_section]\nmodule = {PROVIDER[0]}\n"
                      f"pkcs11-module-path = {MODULE}\npkcs11-module-token-pin = file:{rig.pin_file}\nactivate = 1\n"
                      "[req]\ndistinguished_name = dn\n[dn]\n")
        return rig

    def openssl(self, *arguments, conf):
        return self.rig.run("openssl", *arguments, env={"OPENSSL_CONF": self.rig.path(conf)})

    def check_signature(self, public, signature="signature"):
        """By OpenSSL's own software, without the module."""
        plain = {"OPENSSL_CONF": "/dev/null"}
        done = self.rig.run("openssl", "dgst", "-sha256", "-verify", public, "-signature", signature, "data", env=plain)
        self.assertIn("Verified OK", done.text)

    def check_certificate(self, name):
        plain = {"OPENSSL_CONF": "/dev/null"}
        shown = self.rig.run("openssl", "x509", "-in", name, "-noout", "-subject", "-text", env=plain).text
        self.assertIn("secp256k1", shown)
        self.assertIn("OK", self.rig.run("openssl", "verify", "-CAfile", name, name, env=plain).text)

    # ---- engine ----

    def test_engine_exports_the_public_key_and_signs_a_digest(self):
        engine = ("-engine", "pkcs11", "-keyform", "engine")
        self.openssl("pkey", "-engine", "pkcs11", "-inform", "engine", "-in", URI, "-pubout", "-out", "engine.pem", conf="engine.cnf")
        self.openssl("dgst", "-sha256", *engine, "-sign", URI, "-out", "signature", "data", conf="engine.cnf")
        self.check_signature("engine.pem")

    def test_engine_pkeyutl(self):
        self.rig.run("openssl", "dgst", "-sha256", "-binary", "-out", "digest", "data")
        self.openssl("pkey", "-engine", "pkcs11", "-inform", "engine", "-in", URI, "-pubout", "-out", "engine.pem", conf="engine.cnf")
        self.openssl("pkeyutl", "-engine", "pkcs11", "-keyform", "engine", "-sign", "-inkey", URI, "-in", "digest", "-out", "signature",
                     conf="engine.cnf")
        self.check_signature("engine.pem")

    def test_engine_certificate_and_request(self):
        self.openssl("req", "-new", "-x509", "-engine", "pkcs11", "-keyform", "engine", "-key", URI, "-sha256", "-subj", "/CN=KeyMeld",
                     "-out", "engine-certificate.pem", conf="engine.cnf")
        self.check_certificate("engine-certificate.pem")
        self.openssl("req", "-new", "-engine", "pkcs11", "-keyform", "engine", "-key", URI, "-sha256", "-subj", "/CN=KeyMeld", "-out",
                     "request.pem", conf="engine.cnf")
        checked = self.rig.run("openssl", "req", "-in", "request.pem", "-verify", "-noout", env={"OPENSSL_CONF": "/dev/null"})
        self.assertIn("verify OK", checked.text + checked.errors)

    def test_engine_cms(self):
        self.openssl("req", "-new", "-x509", "-engine", "pkcs11", "-keyform", "engine", "-key", URI, "-sha256", "-subj", "/CN=KeyMeld",
                     "-addext", "keyUsage=digitalSignature", "-out", "cms-certificate.pem", conf="engine.cnf")
        self.openssl("cms", "-sign", "-engine", "pkcs11", "-keyform", "engine", "-inkey", URI, "-signer", "cms-certificate.pem", "-in", "data",
                     "-out", "message.cms", "-md", "sha256", conf="engine.cnf")
        self.rig.run("openssl", "cms", "-verify", "-in", "message.cms", "-CAfile", "cms-certificate.pem", "-purpose", "any", "-out", "/dev/null",
                     env={"OPENSSL_CONF": "/dev/null"})


@unittest.skipUnless(PROVIDER, "pkcs11-provider is not installed (Debian 12 has it in bookworm-backports, Debian 13 in main)")
class Provider(OpenSsl):
    test_engine_exports_the_public_key_and_signs_a_digest = None
    test_engine_pkeyutl = None
    test_engine_certificate_and_request = None
    test_engine_cms = None

    ORDERS = (("-provider", "pkcs11", "-provider", "default"), ("-provider", "default", "-provider", "pkcs11"))

    def test_lists(self):
        listed = self.openssl("storeutl", "-keys", "-text", URI + ";type=private", conf="provider.cnf").text
        self.assertIn("Total found: 1", listed)

    def test_signs_in_both_orders(self):
        self.rig.run("openssl", "dgst", "-sha256", "-binary", "-out", "digest", "data")
        for order in self.ORDERS:
            with self.subTest(order=order):
                self.openssl("pkey", *order, "-in", URI + ";type=public", "-pubin", "-pubout", "-out", "provider.pem", conf="provider.cnf")
                self.openssl("dgst", *order, "-sha256", "-sign", URI + ";type=private", "-out", "signature", "data", conf="provider.cnf")
                self.check_signature("provider.pem")
                self.openssl("pkeyutl", *order, "-sign", "-inkey", URI + ";type=private", "-in", "digest", "-out", "signature",
                             conf="provider.cnf")
                self.check_signature("provider.pem")

    def test_certificate_and_request_in_both_orders(self):
        for order in self.ORDERS:
            with self.subTest(order=order):
                self.openssl("req", *order, "-new", "-x509", "-key", URI + ";type=private", "-sha256", "-subj", "/CN=KeyMeld", "-out",
                             "certificate.pem", conf="provider.cnf")
                self.check_certificate("certificate.pem")
                self.openssl("req", *order, "-new", "-key", URI + ";type=private", "-sha256", "-subj", "/CN=KeyMeld", "-out", "request.pem",
                             conf="provider.cnf")


if __name__ == "__main__":
    unittest.main()
