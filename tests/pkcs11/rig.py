"""A real appliance with real enclave processes, keys in it, and a configured PKCS#11 module: what the tests of tests/pkcs11 stand on."""
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

BUILD = os.environ["KEYMELD_BUILD_DIR"]
MODULE = os.path.join(BUILD, "lib", "libkeymeld-pkcs11.so")
KEYMELD = os.path.join(BUILD, "bin", "keymeld")
PIN = "correct horse"
# The runtime of a sanitizer, without which nobody can load a module that was built with it: this process has it, other programs that load the
# module get it, all others have to do without.
PRELOAD = {"LD_PRELOAD": os.environ.pop("LD_PRELOAD")} if "LD_PRELOAD" in os.environ else {}
SCHNORR = 0x80000000 | 0x4B4D4401


class Rig:
    """One fleet, one folder. Folder and processes are gone after stop()."""

    def __init__(self, enclaves=2, limits=()):
        self.folder = tempfile.mkdtemp(prefix="keymeld-pkcs11-")
        self.host = subprocess.Popen(
            [os.path.join(BUILD, "bin", "tests", "fleet_host"), f"--enclaves={enclaves}", *[f"--limit={limit}" for limit in limits]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.host.stdout.readline()
        if not line:
            raise RuntimeError("the fleet did not start")
        self.ready = json.loads(line)
        self.url = self.ready["url"]
        self.pin_file = self.write("pin", PIN + "\n")
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("KEYMELD_")}
        self.environment["KEYMELD_TRUST"] = self.ready["trust"]
        self.environment["KEYMELD_PCRS"] = self.ready["pcrs"]
        self.environment["KEYMELD_URL"] = self.url
        self.environment["KEYMELD_PKCS11_CONFIG"] = self.path("pkcs11.yaml")
        self.tokens = []

    def stop(self):
        self.host.stdin.close()
        code = self.host.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)
        if code != 0:
            raise RuntimeError(f"fleet_host ended with {code}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o600):
        path = self.path(name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def fleet(self, command):
        self.host.stdin.write(command + "\n")
        self.host.stdin.flush()
        answer = self.host.stdout.readline().strip()
        if answer != "ok":
            raise RuntimeError(f"{command}: {answer}")

    def wait_ready(self, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done = subprocess.run(["curl", "-fs", "-o", "/dev/null", self.url + "/api/v1/ready"], check=False)
            if done.returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("the appliance is not ready")

    def run(self, *command, check=True, env=(), timeout=60, stdin=None):
        done = subprocess.run([str(word) for word in command], env={**self.environment, **dict(env)}, cwd=self.folder, timeout=timeout,
                              capture_output=True, input=stdin, check=False)
        done.text = done.stdout.decode(errors="replace")
        done.errors = done.stderr.decode(errors="replace")
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.text}{done.errors}")
        return done

    def keymeld(self, *arguments, **options):
        return self.run(KEYMELD, *arguments, **options)

    def store(self, name, *options, log_n=10):
        """A credential store and its entry in the configuration."""
        self.keymeld("credentials", "init", "--store", self.path(name + ".credentials"), "--label", name, "--pin-file", self.pin_file,
                     "--kdf-log-n", log_n, *options)
        self.tokens.append(name)
        self.configure()

    def configure(self, settings="", log="error"):
        lines = [f"log: {log}", "tokens:"]
        for name in self.tokens:
            lines.append(f"  - credentials: {name}.credentials")
            lines += ["    " + line for line in settings.splitlines()]
        self.write("pkcs11.yaml", "\n".join(lines) + "\n", 0o644)

    def musig_key(self, store, label, approvals=("none", "none"), sessions=100000):
        """A keygen of the participants LABEL0, LABEL1, …; the credentials of the first go into the store."""
        users = []
        for i in range(len(approvals)):
            self.keymeld("keygen", "new-key", self.path(f"{label}{i}.key"))
            with open(self.path(f"{label}{i}.key"), encoding="utf-8") as text:
                users.append([line.split(": ")[1].strip() for line in text if line.startswith("user_id: ")][0])
        invitation = self.path(label + ".invitation")
        others = [word for user in users[1:] for word in ("--participant", user)]
        self.keymeld("keygen", "create", "--key", self.path(label + "0.key"), *others, "--invitation-out", invitation, "--approval",
                     approvals[0], "--max-signing-sessions", sessions)
        for i, approval in enumerate(approvals[1:], 1):
            self.keymeld("keygen", "join", "--key", self.path(f"{label}{i}.key"), "--invitation", invitation, "--approval", approval)
        self.keymeld("credentials", "add", "--store", self.path(store + ".credentials"), "--pin-file", self.pin_file, "--label", label,
                     "--key", self.path(label + "0.key"), "--invitation", invitation, "--quiet")
        return users

    def pkcs11_tool(self, *arguments, login=False, **options):
        pin = ("--login", "--pin", PIN) if login else ()
        return self.run("pkcs11-tool", "--module", MODULE, *pin, *arguments, env=PRELOAD, **options)


class RigTest(unittest.TestCase):
    """Tests that share one rig, made by make_rig()."""
    rig = None

    @classmethod
    def make_rig(cls):
        rig = Rig()
        rig.store("treasury")
        rig.musig_key("treasury", "aggregate")
        return rig

    @classmethod
    def setUpClass(cls):
        cls.rig = cls.make_rig()

    @classmethod
    def tearDownClass(cls):
        cls.rig.stop()


# ---- BIP-340 and ECDSA verification, in a few lines of integers: the module must not be its own witness. ------------------------------

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
     0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8)


def add(a, b):
    if a is None:
        return b
    if b is None:
        return a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    slope = (3 * a[0] * a[0] * pow(2 * a[1], -1, P) if a == b else (b[1] - a[1]) * pow(b[0] - a[0], -1, P)) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def multiply(point, scalar):
    out = None
    for bit in bin(scalar)[2:] if scalar else "":
        out = add(out, out)
        if bit == "1":
            out = add(out, point)
    return out


def even_point(x):
    y = pow((pow(x, 3, P) + 7) % P, (P + 1) // 4, P)
    assert y * y % P == (pow(x, 3, P) + 7) % P
    return x, y if y % 2 == 0 else P - y


def tagged(tag, data):
    head = hashlib.sha256(tag.encode()).digest()
    return hashlib.sha256(head + head + data).digest()


def schnorr_verifies(x_only, message, signature):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or r >= P or s >= N:
        return False
    key = even_point(int.from_bytes(x_only, "big"))
    e = int.from_bytes(tagged("BIP0340/challenge", signature[:32] + x_only + message), "big") % N
    point = add(multiply(G, s), multiply(key, N - e))
    return point is not None and point[1] % 2 == 0 and point[0] == r


def ecdsa_verifies(point, digest, signature, low_s=True):
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) != 64 or not 0 < r < N or not 0 < s < N or (low_s and s > N // 2):
        return False
    key = int.from_bytes(point[1:33], "big"), int.from_bytes(point[33:], "big")
    w = pow(s, -1, N)
    at = add(multiply(G, int.from_bytes(digest, "big") * w % N), multiply(key, r * w % N))
    return at is not None and at[0] % N == r
