"""PyKCS11 against the module."""
import hashlib
import os
import sys
import unittest

try:
    import PyKCS11
except ImportError:
    PyKCS11 = None
    # Debian's package is for Debian's Python, which may not be the first one in the PATH.
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

from rig import MODULE, PIN, SCHNORR, Rig, RigTest, ecdsa_verifies, schnorr_verifies


@unittest.skipUnless(PyKCS11, "PyKCS11 is not installed (python3-pykcs11)")
class PyKcs11(RigTest):
    @classmethod
    def make_rig(cls):
        rig = Rig()
        rig.store("treasury")
        rig.configure("generate_keys: true")
        rig.musig_key("treasury", "aggregate")
        rig.pkcs11_tool("--keypairgen", "--key-type", "EC:secp256k1", "--label", "hot", login=True)
        return rig

    def setUp(self):
        os.environ["KEYMELD_PKCS11_CONFIG"] = self.rig.path("pkcs11.yaml")
        self.pykcs11 = PyKCS11.PyKCS11Lib()
        self.pykcs11.load(MODULE)
        self.session = self.pykcs11.openSession(self.pykcs11.getSlotList(tokenPresent=True)[0])
        self.session.login(PIN)

    def tearDown(self):
        self.session.logout()
        self.session.closeSession()

    def find(self, object_class, label):
        found = self.session.findObjects([(PyKCS11.CKA_CLASS, object_class), (PyKCS11.CKA_LABEL, label)])
        self.assertEqual(len(found), 1)
        return found[0]

    def point(self, label):
        return bytes(self.session.getAttributeValue(self.find(PyKCS11.CKO_PUBLIC_KEY, label), [PyKCS11.CKA_EC_POINT])[0])[2:]

    def test_ecdsa(self):
        data = os.urandom(100)
        digest = hashlib.sha256(data).digest()
        key = self.find(PyKCS11.CKO_PRIVATE_KEY, "hot")
        raw = bytes(self.session.sign(key, digest, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA, None)))
        self.assertTrue(ecdsa_verifies(self.point("hot"), digest, raw))
        hashed = bytes(self.session.sign(key, data, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA_SHA256, None)))
        self.assertTrue(ecdsa_verifies(self.point("hot"), digest, hashed))
        public = self.find(PyKCS11.CKO_PUBLIC_KEY, "hot")
        self.assertTrue(self.session.verify(public, data, hashed, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA_SHA256, None)))
        self.assertFalse(self.session.verify(public, data + b".", hashed, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA_SHA256, None)))

    def test_schnorr(self):
        for label in ("hot", "aggregate"):
            message = os.urandom(32)
            key = self.find(PyKCS11.CKO_PRIVATE_KEY, label)
            signature = bytes(self.session.sign(key, message, PyKCS11.Mechanism(SCHNORR, None)))
            self.assertTrue(schnorr_verifies(self.point(label)[1:33], message, signature), label)

    def test_random_and_digest(self):
        self.assertEqual(len(self.session.generateRandom(40)), 40)
        self.assertEqual(bytes(self.session.digest(b"abc", PyKCS11.Mechanism(PyKCS11.CKM_SHA256, None))), hashlib.sha256(b"abc").digest())


if __name__ == "__main__":
    unittest.main()
