"""The module over TLS: pins, attestation, and OpenSSL inside OpenSSL. A terminator in front of the appliance speaks TLS 1.3."""
import hashlib
import os
import socket
import ssl
import subprocess
import threading
import unittest

import cryptoki as ck
from openssl_test import PROVIDER, URI
from rig import MODULE, PIN, Rig, RigTest


class Terminator:
    """TLS on a port of its own, plain bytes to the appliance."""

    def __init__(self, rig):
        rig.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tls.key", "-out",
                "tls.pem", "-subj", "/CN=localhost", "-days", "2")
        self.pin = hashlib.sha256(rig.run("openssl", "x509", "-in", "tls.pem", "-outform", "DER").stdout).hexdigest()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.context.load_cert_chain(rig.path("tls.pem"), rig.path("tls.key"))
        host, port = rig.url.removeprefix("http://").split(":")
        self.upstream = host, int(port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            near = self.context.wrap_socket(raw, server_side=True)
        except (OSError, ssl.SSLError):
            return
        far = socket.create_connection(self.upstream)
        back = threading.Thread(target=self.copy, args=(far, near), daemon=True)
        back.start()
        self.copy(near, far)
        back.join()
        near.close()
        far.close()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except (OSError, ssl.SSLError):
            pass
        try:
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Tls(RigTest):
    @classmethod
    def make_rig(cls):
        rig = Rig()
        cls.tls = Terminator(rig)
        rig.store("treasury", "--url", cls.tls.url, "--tls-pin", cls.tls.pin)
        rig.store("wrong-pin", "--url", cls.tls.url, "--tls-pin", "00" * 32)
        rig.store("unpinned", "--url", cls.tls.url)
        pcrs = rig.write("other.json", '{"allowed":[{"name":"other","PCR0":"' + "01" * 48 + '"}]}')
        rig.store("wrong-image", "--url", cls.tls.url, "--tls-pin", cls.tls.pin, "--pcrs", pcrs)
        rig.configure("generate_keys: true")
        rig.pkcs11_tool("--token-label", "treasury", "--keypairgen", "--key-type", "EC:secp256k1", "--label", "hot", login=True)
        rig.write("data", "pay Carol\n")
        # Plugins of the application's own OpenSSL, which must not meet the module's.
        rig.write("engine.cnf", "openssl_conf = start\n[start]\nengines = engines\n[engines]\npkcs11 = pkcs11_engine\n[pkcs11_engine]\n"
                  f"engine_id = pkcs11\nMODULE_PATH = {MODULE}\nPIN = {PIN}\ninit = 0\n")
        if PROVIDER:
            rig.write("provider.cnf", "openssl_conf = start\n[start]\nproviders = providers\n[providers]\npkcs11 = pkcs11_section\n"
                      f"default = default_section\n[default_section]\nactivate = 1\n[pkcs11_section]\nmodule = {PROVIDER[0]}\n"
                      f"pkcs11-module-path = {MODULE}\npkcs11-module-token-pin = file:{rig.pin_file}\nactivate = 1\n")
        return rig

    def test_login_tells_who_is_not_the_appliance(self):
        os.environ["KEYMELD_PKCS11_CONFIG"] = self.rig.path("pkcs11.yaml")
        library = ck.Library()
        library.initialize()
        try:
            codes = [library.call("C_Login", library.open(slot), 1, PIN.encode(), len(PIN)) for slot in range(4)]
        finally:
            library.finalize()
        self.assertEqual(codes, [ck.OK, ck.TOKEN_NOT_RECOGNIZED, ck.TOKEN_NOT_RECOGNIZED, ck.TOKEN_NOT_RECOGNIZED])

    def openssl(self, *arguments, conf):
        return self.rig.run("openssl", *arguments, env={"OPENSSL_CONF": self.rig.path(conf)})

    def check(self):
        self.rig.pkcs11_tool("--token-label", "treasury", "--read-object", "--type", "pubkey", "--label", "hot", "-o", "public.der")
        self.rig.run("openssl", "dgst", "-sha256", "-keyform", "DER", "-verify", "public.der", "-signature", "signature", "data",
                     env={"OPENSSL_CONF": "/dev/null"})

    def test_engine(self):
        self.openssl("dgst", "-sha256", "-engine", "pkcs11", "-keyform", "engine", "-sign", URI, "-out", "signature", "data", conf="engine.cnf")
        self.check()

    @unittest.skipUnless(PROVIDER, "pkcs11-provider is not installed: run scripts/get-pkcs11-provider")
    def test_provider_in_both_orders(self):
        for order in (("pkcs11", "default"), ("default", "pkcs11")):
            with self.subTest(order=order):
                self.openssl("dgst", "-provider", order[0], "-provider", order[1], "-sha256", "-sign", URI + ";type=private", "-out", "signature",
                             "data", conf="provider.cnf")
                self.check()

    def test_loads_goes_and_loads_again(self):
        """A caller that forgets C_Finalize leaves no connection behind when it unloads the library."""
        script = ("import ctypes, os, cryptoki as ck, rig\n"
                  "libc = ctypes.CDLL(None)\nlibc.dlclose.argtypes = [ctypes.c_void_p]\n"
                  "def sockets():\n"
                  "    fds = [os.path.join('/proc/self/fd', n) for n in os.listdir('/proc/self/fd')]\n"
                  "    return sum(os.path.islink(f) and os.readlink(f).startswith('socket:') for f in fds)\n"
                  "for round in range(5):\n"
                  "    library = ck.Library()\n"
                  "    library.initialize()\n"
                  "    session = library.open()\n"
                  "    library.login(session, rig.PIN)\n"
                  "    assert library.sign(session, library.key(session, 'hot'), os.urandom(32))[0] == ck.OK\n"
                  "    assert sockets() > 0\n"
                  "    if round % 2:\n"
                  "        library.finalize()\n"
                  "    assert libc.dlclose(library.module._handle) == 0\n"
                  "    assert sockets() == 0, 'a connection is left'\n"
                  "    assert 'libkeymeld-pkcs11' not in open('/proc/self/maps').read()\n")
        done = subprocess.run(["python3", "-c", script], cwd=os.path.dirname(os.path.abspath(__file__)), env={**self.rig.environment,
                              "KEYMELD_MODULE": MODULE, "KEYMELD_BUILD_DIR": os.environ["KEYMELD_BUILD_DIR"]}, capture_output=True, text=True,
                              timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
