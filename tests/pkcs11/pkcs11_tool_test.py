"""pkcs11-tool (OpenSC) against the module."""
import hashlib
import os
import re
import unittest

from rig import PIN, RigTest, schnorr_verifies


class Pkcs11Tool(RigTest):
    def test_lists_slots_and_mechanisms(self):
        slots = self.rig.pkcs11_tool("-L").text
        self.assertIn("token label        : treasury", slots)
        self.assertIn("login required", slots)
        mechanisms = self.rig.pkcs11_tool("-M").text
        for name in ("ECDSA,", "ECDSA-SHA256", "SHA256", "mechtype-0xCB4D4401"):
            self.assertIn(name, mechanisms)

    def test_lists_objects_without_and_with_login(self):
        public = self.rig.pkcs11_tool("-O").text
        self.assertIn("Public Key Object; EC", public)
        self.assertIn("label:      aggregate", public)
        self.assertNotIn("Private Key Object", public)
        private = self.rig.pkcs11_tool("-O", login=True).text
        self.assertIn("Private Key Object; EC", private)
        self.assertIn("sensitive, always sensitive, never extractable", private)

    def public_point(self):
        self.rig.pkcs11_tool("--read-object", "--type", "pubkey", "--label", "aggregate", "-o", "public.der")
        with open(self.rig.path("public.der"), "rb") as file:
            return file.read()[-65:]

    def test_signs_with_a_musig2_key(self):
        message = os.urandom(32)
        with open(self.rig.path("message"), "wb") as out:
            out.write(message)
        self.rig.pkcs11_tool("--sign", "-m", "0xCB4D4401", "--label", "aggregate", "-i", "message", "-o", "signature", login=True)
        with open(self.rig.path("signature"), "rb") as file:
            signature = file.read()
        point = self.public_point()
        self.assertEqual(point[0], 4)
        self.assertTrue(schnorr_verifies(point[1:33], message, signature))
        self.assertFalse(schnorr_verifies(point[1:33], hashlib.sha256(message).digest(), signature))
        verified = self.rig.pkcs11_tool("--verify", "-m", "0xCB4D4401", "--label", "aggregate", "-i", "message", "--signature-file", "signature")
        self.assertIn("Signature is valid", verified.text)

    def test_refuses_ecdsa_by_a_musig2_key(self):
        with open(self.rig.path("other"), "wb") as out:
            out.write(bytes(32))
        refused = self.rig.pkcs11_tool("--sign", "-m", "ECDSA", "--label", "aggregate", "-i", "other", "-o", "none", login=True, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("CKR_KEY_TYPE_INCONSISTENT", refused.errors)

    def test_random(self):
        drawn = {self.rig.pkcs11_tool("--generate-random", "64").stdout for _ in range(2)}
        self.assertEqual({len(bytes_) for bytes_ in drawn}, {64})
        self.assertEqual(len(drawn), 2)

    def test_wrong_pin(self):
        wrong = self.rig.run("pkcs11-tool", "--module", os.environ["KEYMELD_MODULE"], "--login", "--pin", "wrong", "-O", check=False)
        self.assertIn("CKR_PIN_INCORRECT", wrong.errors)
        self.assertNotIn(PIN, wrong.errors)

    def test_own_tests(self):
        tested = self.rig.pkcs11_tool("--test", login=True)
        self.assertIn("No errors", tested.text)

    def test_fork(self):
        self.rig.pkcs11_tool("--test-fork")

    def test_ec_test_insists_on_another_mechanism(self):
        """A known limit of the client: its EC test wants ECDSA-SHA1."""
        tested = self.rig.pkcs11_tool("--test-ec", "--id", "01", "--key-type", "EC:secp256k1", login=True, check=False)
        self.assertTrue(re.search("ECDSA-SHA1|CKR_|not supported|read-only|READ", tested.text + tested.errors), tested.text + tested.errors)


if __name__ == "__main__":
    unittest.main()
