"""graphene-pk11 and pkcs11js (npm) against the module. pkcs11js is compiled at its installation."""
import os
import shutil
import subprocess
import unittest

from rig import MODULE, Rig, RigTest, ecdsa_verifies

FOLDER = os.path.join(os.environ["KEYMELD_SOURCE_DIR"], "tests", "pkcs11", "node")


def missing():
    """Installs the packages; a reason if that is not possible."""
    if not shutil.which("npm"):
        return "npm is not installed"
    if os.path.exists(os.path.join(FOLDER, "node_modules", "pkcs11js", "build", "Release", "pkcs11.node")):
        return None
    done = subprocess.run(["npm", "ci", "--no-fund", "--no-audit"], cwd=FOLDER, capture_output=True, text=True, timeout=240, check=False)
    if not os.path.exists(os.path.join(FOLDER, "node_modules", "pkcs11js", "build", "Release", "pkcs11.node")):
        subprocess.run(["npm", "rebuild"], cwd=FOLDER, capture_output=True, timeout=240, check=False)
    if not os.path.exists(os.path.join(FOLDER, "node_modules", "pkcs11js", "build", "Release", "pkcs11.node")):
        return "pkcs11js cannot be installed: " + (done.stderr.strip().splitlines() or ["it was not compiled"])[-1]
    return None


class Graphene(RigTest):
    @classmethod
    def setUpClass(cls):
        reason = missing()
        if reason:
            print("SKIPPED: " + reason)
            raise unittest.SkipTest(reason)
        super().setUpClass()

    @classmethod
    def make_rig(cls):
        rig = Rig()
        rig.store("treasury")
        rig.configure("generate_keys: true")
        rig.pkcs11_tool("--keypairgen", "--key-type", "EC:secp256k1", "--label", "hot", login=True)
        return rig

    def test_signs_at_once_and_asynchronously(self):
        digest = os.urandom(32)
        made = self.rig.run("node", os.path.join(FOLDER, "graphene.mjs"), MODULE, self.rig.pin_file, "hot", digest.hex()).text.split()
        self.rig.pkcs11_tool("--read-object", "--type", "pubkey", "--label", "hot", "-o", "public.der")
        with open(self.rig.path("public.der"), "rb") as file:
            point = file.read()[-65:]
        self.assertEqual(len(made), 2)
        for signature in made:
            self.assertTrue(ecdsa_verifies(point, digest, bytes.fromhex(signature)))


if __name__ == "__main__":
    unittest.main()
