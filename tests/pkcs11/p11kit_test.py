"""p11-kit and GnuTLS's p11tool against the module; ssh-keygen -D, which must not crash."""
import glob
import os
import shutil
import subprocess
import unittest

from rig import MODULE, PIN, Rig, RigTest, ecdsa_verifies

PROXY = "/usr/lib/*/p11-kit-proxy.so"
CLIENT = "/usr/lib/*/pkcs11/p11-kit-client.so"


class P11Kit(RigTest):
    @classmethod
    def make_rig(cls):
        rig = Rig()
        rig.store("treasury")
        rig.configure("generate_keys: true")
        rig.pkcs11_tool("--keypairgen", "--key-type", "EC:secp256k1", "--label", "hot", login=True)
        rig.write("digest", "d" * 32)
        return rig

    def test_p11tool_lists_and_draws(self):
        if not shutil.which("p11tool"):
            self.skipTest("p11tool is not installed (gnutls-bin)")
        tokens = self.rig.run("p11tool", "--provider", MODULE, "--list-tokens").text
        self.assertIn("Label: treasury", tokens)
        objects = self.rig.run("p11tool", "--provider", MODULE, "--login", "--set-pin", PIN, "--list-all", "pkcs11:token=treasury").text
        self.assertIn("Label: hot", objects)
        drawn = self.rig.run("p11tool", "--provider", MODULE, "--generate-random", "32", "pkcs11:token=treasury").stdout
        self.assertGreaterEqual(len(drawn), 32)

    def test_p11tool_cannot_test_signing(self):
        """A known limit of the client: GnuTLS has no secp256k1."""
        if not shutil.which("p11tool"):
            self.skipTest("p11tool is not installed (gnutls-bin)")
        tried = self.rig.run("p11tool", "--provider", MODULE, "--login", "--set-pin", PIN, "--test-sign",
                             "pkcs11:token=treasury;object=hot;type=private", check=False)
        self.assertEqual(tried.returncode, 1)

    def sign_through(self, module, env):
        self.rig.run("pkcs11-tool", "--module", module, "--token-label", "treasury", "--login", "--pin", PIN, "--sign", "-m", "ECDSA", "--label",
                     "hot", "-i", "digest", "-o", "signature", env=env)
        self.rig.pkcs11_tool("--read-object", "--type", "pubkey", "--label", "hot", "-o", "public.der")
        with open(self.rig.path("public.der"), "rb") as public, open(self.rig.path("signature"), "rb") as signature:
            self.assertTrue(ecdsa_verifies(public.read()[-65:], b"d" * 32, signature.read()))

    @staticmethod
    def only(pattern):
        found = glob.glob(pattern)
        if not found:
            raise unittest.SkipTest(f"there is no {pattern} (p11-kit, p11-kit-modules)")
        return found[0]

    def test_list_modules_and_proxy(self):
        """p11-kit skips per-user files for root: the module's file goes where the system's are, for the length of the test."""
        system = "/usr/share/p11-kit/modules/keymeld-test.module"
        proxy = self.only(PROXY)
        try:
            with open(system, "w", encoding="utf-8") as out:
                out.write(f"module: {MODULE}\n")
        except PermissionError:
            self.skipTest("only root may write /usr/share/p11-kit/modules")
        try:
            self.assertIn("treasury", self.rig.run("p11-kit", "list-modules").text)
            self.sign_through(proxy, {})
        finally:
            os.unlink(system)

    def test_server(self):
        client = self.only(CLIENT)
        socket = self.rig.path("p11.socket")
        server = subprocess.Popen(["p11-kit", "server", "--foreground", "--provider", MODULE, "-n", socket, "pkcs11:token=treasury"],
                                  env=self.rig.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                if os.path.exists(socket):
                    break
                self.rig.run("sleep", "0.05")
            address = {"P11_KIT_SERVER_ADDRESS": f"unix:path={socket}"}
            self.sign_through(client, address)
            # A known limit: the remoting protocol hides mechanisms that it does not know.
            seen = self.rig.run("pkcs11-tool", "--module", client, "-M", env=address).text
            self.assertIn("ECDSA", seen)
            self.assertNotIn("0xCB4D4401", seen)
        finally:
            server.terminate()
            server.wait(10)

    def test_ssh_keygen(self):
        """SSH has no secp256k1: no key is listed, and nothing crashes."""
        done = self.rig.run("ssh-keygen", "-D", MODULE, check=False)
        self.assertIn(done.returncode, (0, 1, 255))
        self.assertNotIn("ecdsa", done.text)


if __name__ == "__main__":
    unittest.main()
