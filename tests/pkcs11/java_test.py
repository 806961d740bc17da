"""Java's SunPKCS11 against the module: keytool and a small program. Java shows a private key only beside a certificate."""
import os
import shutil
import unittest

from rig import MODULE, Rig, RigTest


@unittest.skipUnless(shutil.which("keytool"), "there is no Java (default-jre-headless)")
class Java(RigTest):
    @classmethod
    def make_rig(cls):
        rig = Rig()
        rig.store("treasury")
        rig.configure("generate_keys: true")
        rig.pkcs11_tool("--keypairgen", "--key-type", "EC:secp256k1", "--label", "hot", login=True)
        rig.write("java.cfg", f"name = KeyMeld\nlibrary = {MODULE}\nslotListIndex = 0\n")
        rig.write("data", "pay Carol\n")
        return rig

    def keytool(self):
        return self.rig.run("keytool", "-list", "-keystore", "NONE", "-storetype", "PKCS11", "-providerClass", "sun.security.pkcs11.SunPKCS11",
                            "-providerArg", "java.cfg", "-storepass:file", self.rig.pin_file)

    def test_needs_a_certificate_and_signs_with_one(self):
        self.assertIn("0 entries", self.keytool().text)
        self.rig.keymeld("credentials", "certificate", "--store", "treasury.credentials", "--pin-file", self.rig.pin_file, "--label", "hot",
                         "--self-signed", "KeyMeld hot")
        listed = self.keytool().text
        self.assertIn("hot, PrivateKeyEntry", listed)
        program = os.path.join(os.environ["KEYMELD_SOURCE_DIR"], "tests", "pkcs11", "Sign.java")
        if not shutil.which("javac") and "jdk.compiler" not in self.rig.run("java", "--list-modules").text:
            self.skipTest("this Java cannot run a source file: keytool alone was tested (default-jdk-headless has the compiler)")
        signed = self.rig.run("java", program, "java.cfg", self.rig.pin_file, "hot", "data", timeout=120).text
        for line in ("SHA256withECDSA ", "NONEwithECDSA ", "SHA256withECDSAinP1363Format 64", "NONEwithECDSAinP1363Format 64"):
            self.assertIn(line, signed)


if __name__ == "__main__":
    unittest.main()
