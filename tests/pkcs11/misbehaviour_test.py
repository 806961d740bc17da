"""What goes wrong in real life: appliances that are away, slow or refused approvals, forks, threads, damaged stores, hostile callers."""
import ctypes
import fcntl
import os
import re
import socket
import sqlite3
import subprocess
import sys
import termios
import threading
import time
import unittest

import cryptoki as ck
from rig import G, KEYMELD, N, PIN, PRELOAD, Rig, add, ecdsa_verifies, even_point, multiply, schnorr_verifies, tagged

ULONG = ctypes.c_ulong


def memory_kib():
    with open("/proc/self/status", encoding="utf-8") as text:
        return int(re.search(r"VmRSS:\s+(\d+)", text.read()).group(1))


class Stderr:
    """What the module says to people, caught at the descriptor."""

    def __enter__(self):
        self.read, write = os.pipe()
        self.before = os.dup(2)
        os.dup2(write, 2)
        os.close(write)
        self.text = ""
        return self

    def __exit__(self, *_):
        os.dup2(self.before, 2)
        os.close(self.before)
        with os.fdopen(self.read) as text:
            self.text = text.read()


def python(script, *before):
    """Runs a script of its own process beside these tests, with the module's environment."""
    return subprocess.run([*before, sys.executable, "-c", script], cwd=os.path.dirname(os.path.abspath(__file__)), env={**os.environ, **PRELOAD},
                          check=False, capture_output=True, text=True)


class Misbehaviour(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rig = Rig()
        cls.rig.store("treasury")
        cls.rig.configure("sign_timeout: 2\ngenerate_keys: true")
        cls.rig.musig_key("treasury", "aggregate")
        cls.users = cls.rig.musig_key("treasury", "guarded", ("none", "bound"))
        cls.rig.musig_key("treasury", "self", ("bound", "none"))
        os.environ["KEYMELD_PKCS11_CONFIG"] = cls.rig.path("pkcs11.yaml")
        cls.module = ck.Library()

    @classmethod
    def tearDownClass(cls):
        cls.rig.stop()

    def setUp(self):
        self.module.initialize()
        self.session = self.module.open()
        self.module.login(self.session, PIN)

    def tearDown(self):
        self.module.call("C_Finalize", None)

    def key(self, label="aggregate"):
        return self.module.key(self.session, label)

    # ---- the appliance is away -------------------------------------------------------------------------------------

    def test_appliance_away_and_back(self):
        """Between two signatures, between SignInit and Sign, before C_Initialize; always the same session afterwards."""
        key, message = self.key(), os.urandom(32)
        self.assertEqual(self.module.sign(self.session, key, message)[0], ck.OK)
        self.assertEqual(self.module.sign_init(self.session, key), ck.OK)
        self.rig.fleet("kill-appliance")
        with Stderr() as said:
            self.assertEqual(self.module.sign_only(self.session, os.urandom(32))[0], ck.DEVICE_REMOVED)
        self.assertEqual(len(said.text.splitlines()), 1, said.text)
        self.assertRegex(said.text, r'key "aggregate", request [0-9a-f-]{36}: .*; is the appliance running')
        time.sleep(2.1)
        self.assertEqual(self.module.call("C_GetTokenInfo", 0, ctypes.create_string_buffer(512)), ck.TOKEN_NOT_PRESENT)
        count = ULONG(9)
        self.module.must("C_GetSlotList", 0, None, ctypes.byref(count))
        self.assertEqual(count.value, 1)
        self.module.must("C_GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(count))
        self.assertEqual(count.value, 0)
        # A library that starts while the appliance is away does not notice before it is used.
        other = python("import cryptoki as ck\nl = ck.Library()\nl.initialize()\n"
                       "code = l.call('C_OpenSession', 0, 6, None, None, ck.ctypes.byref(ck.ULONG()))\n"
                       "assert code == ck.TOKEN_NOT_PRESENT, hex(code)")
        self.assertEqual(other.returncode, 0, other.stderr)
        self.rig.fleet("start-appliance")
        self.rig.wait_ready()
        message = os.urandom(32)
        code, signature = self.module.sign(self.session, key, message)
        self.assertEqual(code, ck.OK)
        self.assertTrue(schnorr_verifies(self.module.point(self.session, "aggregate")[1:33], message, signature))
        self.module.open()

    def test_appliance_dies_during_the_wait(self):
        message = os.urandom(32)
        killer = threading.Timer(0.7, lambda: self.rig.fleet("kill-appliance"))
        killer.start()
        with Stderr():
            code = self.module.sign(self.session, self.key("guarded"), message)[0]
        killer.join()
        self.rig.fleet("start-appliance")
        self.rig.wait_ready()
        self.assertEqual(code, ck.DEVICE_REMOVED)

    # ---- approvals -------------------------------------------------------------------------------------------------

    def request_of(self, text):
        return re.search(r"request ([0-9a-f-]{36})", text).group(1)

    def test_slow_approval_is_joined_by_the_repeat(self):
        key, message = self.key("guarded"), os.urandom(32)
        with Stderr() as said:
            self.assertEqual(self.module.sign(self.session, key, message)[0], ck.FUNCTION_CANCELED)
        request = self.request_of(said.text)
        self.assertIn(self.users[1], said.text)
        self.assertIn("keymeld sign approve", said.text)
        with Stderr() as again:
            self.assertEqual(self.module.sign(self.session, key, message)[0], ck.FUNCTION_CANCELED)
        self.assertEqual(self.request_of(again.text), request)
        self.rig.keymeld("sign", "approve", "--key", self.rig.path("guarded1.key"), "--invitation", self.rig.path("guarded.invitation"),
                         "--session", request, "--message", message.hex())
        code, signature = self.module.sign(self.session, key, message)
        self.assertEqual(code, ck.OK)
        self.assertTrue(schnorr_verifies(self.module.point(self.session, "guarded")[1:33], message, signature))

    def test_denied_approval(self):
        key, message = self.key("guarded"), os.urandom(32)
        with Stderr() as said:
            self.module.sign(self.session, key, message)
        self.rig.keymeld("sign", "reject", "--key", self.rig.path("guarded1.key"), "--session", self.request_of(said.text))
        # The rejected request is over; signing again asks anew. Reject that one while it is waited for.
        with Stderr() as said_again:
            self.assertEqual(self.module.sign(self.session, key, message)[0], ck.FUNCTION_CANCELED)
        second = self.request_of(said_again.text)
        self.assertNotEqual(second, self.request_of(said.text))
        rejecter = threading.Timer(0.5, lambda: self.rig.keymeld("sign", "reject", "--key", self.rig.path("guarded1.key"), "--session", second))
        rejecter.start()
        with Stderr() as denied:
            code = self.module.sign(self.session, key, message)[0]
        rejecter.join()
        self.assertEqual(code, ck.FUNCTION_REJECTED)
        self.assertRegex(denied.text, f'key "guarded", request {second}: rejected: .*; talk to the participant')

    def test_asking_is_the_own_approval(self):
        message = os.urandom(32)
        code, signature = self.module.sign(self.session, self.key("self"), message)
        self.assertEqual(code, ck.OK)
        self.assertTrue(schnorr_verifies(self.module.point(self.session, "self")[1:33], message, signature))

    # ---- restarts, growth, forks, threads --------------------------------------------------------------------------

    def test_restart_between_two_signatures(self):
        key = self.key()
        self.assertEqual(self.module.sign(self.session, key, os.urandom(32))[0], ck.OK)
        self.rig.fleet("kill-appliance")
        self.rig.fleet("start-appliance")
        self.rig.wait_ready()
        self.assertEqual(self.module.sign(self.session, key, os.urandom(32))[0], ck.OK)

    def test_thousand_sessions_and_logins_do_not_grow(self):
        self.module.must("C_Logout", self.session)
        for i in range(1100):
            session = self.module.open()
            self.module.login(session, PIN)
            self.module.must("C_Logout", session)
            self.module.must("C_CloseSession", session)
            if i == 100:
                before, files = memory_kib(), len(os.listdir("/proc/self/fd"))
        self.assertLess(memory_kib() - before, 1024)
        self.assertEqual(len(os.listdir("/proc/self/fd")), files)
        self.assertEqual(len(os.listdir("/proc/self/task")), 1)

    def test_fork_after_initialize(self):
        key = self.key()
        self.assertEqual(self.module.sign(self.session, key, os.urandom(32))[0], ck.OK)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert self.module.call("C_GetSlotList", 0, None, ctypes.byref(ULONG())) == ck.NOT_INITIALIZED
                assert self.module.call("C_Finalize", None) == ck.NOT_INITIALIZED
                sockets = [name for name in os.listdir("/proc/self/fd") if self.is_socket(name)]
                self.module.initialize()
                assert not [name for name in sockets if self.is_socket(name)], "inherited sockets"
                session = self.module.open()
                self.module.login(session, PIN)
                assert self.module.sign(session, self.module.key(session, "aggregate"), os.urandom(32))[0] == ck.OK
                self.module.finalize()
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(self.module.sign(self.session, key, os.urandom(32))[0], ck.OK)

    @staticmethod
    def is_socket(name):
        try:
            return os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            return False

    def test_fork_before_initialize(self):
        self.module.finalize()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                self.module.initialize()
                self.module.login(self.module.open(), PIN)
                self.module.finalize()
                code = 0
            finally:
                os._exit(code)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_eight_threads(self):
        point = self.module.point(self.session, "aggregate")[1:33]
        wrong = []

        def work():
            session = self.module.open()
            key = self.module.key(session, "aggregate")
            for _ in range(10):
                message = os.urandom(32)
                code, signature = self.module.sign(session, key, message)
                if code != ck.OK or not schnorr_verifies(point, message, signature):
                    wrong.append(hex(code))
            self.module.must("C_CloseSession", session)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])

    def test_finalize_ends_a_wait(self):
        codes = []

        def work():
            with Stderr():
                codes.append(self.module.sign(self.session, self.module.key(self.session, "guarded"), os.urandom(32))[0])

        self.tearDown()
        self.rig.configure("sign_timeout: 60")
        self.setUp()
        waiting = threading.Thread(target=work)
        waiting.start()
        time.sleep(1)
        begin = time.monotonic()
        self.module.finalize()
        waiting.join(20)
        self.rig.configure("sign_timeout: 2\ngenerate_keys: true")
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(codes, [ck.NOT_INITIALIZED])

    def test_low_memory_lock_limit(self):
        script = ("import resource, cryptoki as ck, rig, os\nresource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))\nl = ck.Library()\n"
                  "l.initialize()\ns = l.open()\nl.login(s, rig.PIN)\n"
                  "assert l.sign(s, l.key(s, 'aggregate'), os.urandom(32))[0] == ck.OK\n"
                  "assert resource.getrlimit(resource.RLIMIT_CORE)[1] != 0, 'the process was hardened'\n")
        limited = ["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock"] if os.geteuid() == 0 else []
        done = python(script, *limited)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_standard_error_that_nobody_reads(self):
        script = ("import os, signal, cryptoki as ck\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\nread, write = os.pipe()\nos.dup2(write, 2)\n"
                  "os.close(read)\nos.close(write)\nl = ck.Library()\nl.initialize()\n"
                  "code = l.call('C_Login', l.open(), 1, b'wrong pin', 9)\nos._exit(0 if code == ck.PIN_INCORRECT else 1)\n")
        done = python(script)
        self.assertEqual(done.returncode, 0, "-13: a line of the module ended the application")

    # ---- PINs, stores, configuration -------------------------------------------------------------------------------

    def test_pins_and_users(self):
        self.assertEqual(self.module.call("C_Login", self.session, 1, PIN.encode(), len(PIN)), ck.USER_ALREADY_LOGGED_IN)
        self.module.must("C_Logout", self.session)
        self.assertEqual(self.module.call("C_Logout", self.session), ck.USER_NOT_LOGGED_IN)
        with Stderr() as said:
            self.assertEqual(self.module.call("C_Login", self.session, 1, b"wrong pin", 9), ck.PIN_INCORRECT)
        self.assertNotIn("wrong pin", said.text)
        info = ctypes.create_string_buffer(512)
        self.module.must("C_GetTokenInfo", 0, info)
        flags = int.from_bytes(info.raw[96:104], "little")
        self.assertTrue(flags & 0x10000, hex(flags))
        with Stderr():
            for short in (b"abc", b""):
                self.assertEqual(self.module.call("C_Login", self.session, 1, short, len(short)), ck.PIN_INCORRECT)
            self.assertEqual(self.module.call("C_Login", self.session, 1, b"x" * 256, 256), ck.PIN_INCORRECT)
        self.assertEqual(self.module.call("C_Login", self.session, 1, None, 0), ck.ARGUMENTS_BAD)
        self.assertEqual(self.module.call("C_Login", self.session, 0, PIN.encode(), len(PIN)), ck.USER_TYPE_INVALID)
        self.module.open(flags=ck.RO)
        self.assertEqual(self.module.call("C_Login", self.session, 0, PIN.encode(), len(PIN)), ck.SESSION_READ_ONLY_EXISTS)
        self.module.login(self.session, PIN)
        self.module.must("C_GetTokenInfo", 0, info)
        self.assertFalse(int.from_bytes(info.raw[96:104], "little") & 0x10000)

    def test_pin_from_a_file(self):
        self.module.finalize()
        self.rig.configure("pin-file: pin")
        try:
            self.module.initialize()
            info = ctypes.create_string_buffer(512)
            self.module.must("C_GetTokenInfo", 0, info)
            self.assertTrue(int.from_bytes(info.raw[96:104], "little") & 0x100)
            session = self.module.open()
            os.chmod(self.rig.pin_file, 0o644)
            with Stderr() as said:
                self.assertEqual(self.module.call("C_Login", session, 1, None, 0), ck.FUNCTION_FAILED)
            self.assertIn("chmod 600", said.text)
            os.chmod(self.rig.pin_file, 0o600)
            self.module.must("C_Login", session, 1, None, 0)
        finally:
            self.rig.configure("sign_timeout: 2\ngenerate_keys: true")

    def test_interrupted_question_gives_the_terminal_back(self):
        master, slave = os.openpty()
        shown = termios.tcgetattr(slave)[3] & termios.ECHO
        self.assertTrue(shown)
        asking = subprocess.Popen([KEYMELD, "credentials", "passwd", "--store", self.rig.path("treasury.credentials")], stdin=slave, stdout=slave,
                                  stderr=slave, start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        said = b""
        while b"PIN of" not in said:
            said += os.read(master, 1000)
        self.assertFalse(termios.tcgetattr(slave)[3] & termios.ECHO, "what is typed would be shown")
        os.write(master, b"corr\x03")
        self.assertNotEqual(asking.wait(timeout=20), 0)
        self.assertTrue(termios.tcgetattr(slave)[3] & termios.ECHO)
        os.close(master)
        os.close(slave)

    def test_change_of_pin(self):
        def set_pin(old, new):
            return self.module.call("C_SetPIN", self.session, old.encode(), len(old), new.encode(), len(new))
        with Stderr():
            self.assertEqual(set_pin("not this", "another pin"), ck.PIN_INCORRECT)
        self.assertEqual(set_pin(PIN, "abc"), ck.PIN_LEN_RANGE)
        self.assertEqual(set_pin(PIN, "another pin"), ck.OK)
        try:
            self.assertEqual(self.module.sign(self.session, self.key(), os.urandom(32))[0], ck.OK)
            self.module.must("C_Logout", self.session)
            with Stderr():
                self.assertEqual(self.module.call("C_Login", self.session, 1, PIN.encode(), len(PIN)), ck.PIN_INCORRECT)
            self.module.login(self.session, "another pin")
        finally:
            self.assertEqual(set_pin("another pin", PIN), ck.OK)

    def test_refresh_shows_keys_that_others_add(self):
        self.tearDown()
        self.rig.configure("refresh_secs: 0\ngenerate_keys: true")
        self.setUp()
        before = self.module.find(self.session)
        self.rig.pkcs11_tool("--keypairgen", "--key-type", "EC:secp256k1", "--label", "added", login=True)
        after = self.module.find(self.session)
        self.assertEqual(after[:len(before)], before)
        self.assertEqual(len(after), len(before) + 2)
        digest = os.urandom(32)
        code, signature = self.module.sign(self.session, self.module.key(self.session, "added"), digest, ck.CKM_ECDSA)
        self.assertEqual(code, ck.OK)
        self.assertTrue(ecdsa_verifies(self.module.point(self.session, "added"), digest, signature))
        self.rig.keymeld("credentials", "remove", "--store", "treasury.credentials", "--pin-file", self.rig.pin_file, "--label", "added")
        self.assertEqual(self.module.find(self.session), before)
        self.rig.configure("sign_timeout: 2\ngenerate_keys: true")

    def test_single_key_from_the_command_line_until_it_is_deleted(self):
        """`keymeld key` and `keymeld credentials add --single` meet the module; what the appliance no longer has is no handle."""
        self.tearDown()
        self.rig.configure("refresh_secs: 0\ngenerate_keys: true")
        self.rig.keymeld("key", "generate", "--key-out", self.rig.path("hot.key"), "--label", "hot", "--allow", "ecdsa", "--quiet")
        self.rig.keymeld("credentials", "add", "--store", "treasury.credentials", "--pin-file", self.rig.pin_file, "--label", "hot",
                         "--single", self.rig.path("hot.key"), "--quiet")
        self.setUp()
        try:
            key = self.module.key(self.session, "hot")
            digest = os.urandom(32)
            code, signature = self.module.sign(self.session, key, digest, ck.CKM_ECDSA)
            self.assertEqual(code, ck.OK)
            self.assertTrue(ecdsa_verifies(self.module.point(self.session, "hot"), digest, signature))
            # Not allowed for this key: refused before anything is sent.
            self.assertNotEqual(self.module.sign(self.session, key, digest)[0], ck.OK)
            self.rig.keymeld("key", "delete", "--key", self.rig.path("hot.key"), "--quiet")
            self.assertEqual(self.module.sign(self.session, key, os.urandom(32), ck.CKM_ECDSA)[0], ck.KEY_HANDLE_INVALID)
            # The other keys are as they were.
            self.assertEqual(self.module.sign(self.session, self.key(), digest)[0], ck.OK)
        finally:
            self.rig.keymeld("credentials", "remove", "--store", "treasury.credentials", "--pin-file", self.rig.pin_file, "--label", "hot")
            self.rig.configure("sign_timeout: 2\ngenerate_keys: true")

    def test_taproot_parameter_of_a_single_key(self):
        """Version, flags, merkle root, length: the signature verifies under the output key that BIP-341 makes of the key and the root."""
        class Taproot(ctypes.Structure):
            _fields_ = [("version", ck.ULONG), ("flags", ck.ULONG), ("root", ctypes.c_char_p), ("length", ck.ULONG)]

        def init(function, handle, root, version=1, flags=1, length=None):
            parameter = Taproot(version, flags, root or None, len(root) if length is None else length)
            mechanism = ck.Mechanism(ck.CKM_SCHNORR, ctypes.cast(ctypes.byref(parameter), ctypes.c_void_p), ctypes.sizeof(parameter))
            return self.module.call(function, self.session, ctypes.byref(mechanism), handle)

        def sign(root, **fields):
            code = init("C_SignInit", key, root, **fields)
            return self.module.sign_only(self.session, digest) if code == ck.OK else (code, b"")

        def verify(root):
            self.assertEqual(init("C_VerifyInit", public, root), ck.OK)
            return self.module.call("C_Verify", self.session, digest, 32, signature, 64)

        self.module.generate(self.session, "tap")
        key, digest = self.module.key(self.session, "tap"), os.urandom(32)
        public = self.module.key(self.session, "tap", private=False)
        internal = self.module.point(self.session, "tap")[1:33]
        for root in (b"", os.urandom(32)):
            tweak = int.from_bytes(tagged("TapTweak", internal + root), "big") % N
            output = add(even_point(int.from_bytes(internal, "big")), multiply(G, tweak))[0].to_bytes(32, "big")
            code, signature = sign(root)
            self.assertEqual(code, ck.OK)
            self.assertTrue(schnorr_verifies(output, digest, signature))
            self.assertFalse(schnorr_verifies(internal, digest, signature))
            # The module verifies with the parameter that it signed with, and with no other.
            self.assertEqual(verify(root), ck.OK)
            self.assertEqual(verify(os.urandom(32)), ck.SIGNATURE_INVALID)
            self.assertEqual(self.module.verify(self.session, public, digest, signature), ck.SIGNATURE_INVALID)
        aggregate = self.module.key(self.session, "aggregate", private=False)
        self.assertEqual(init("C_VerifyInit", aggregate, b""), ck.MECHANISM_PARAM_INVALID)
        for wrong in ({"version": 2}, {"flags": 2}, {"length": 31}):
            self.assertEqual(sign(os.urandom(32), **wrong)[0], ck.MECHANISM_PARAM_INVALID, wrong)
        self.rig.keymeld("credentials", "remove", "--store", "treasury.credentials", "--pin-file", self.rig.pin_file, "--label", "tap")

    def test_new_keys_that_are_refused(self):
        def code(**public):
            given, empty = ck.template(**public), ck.template()
            return self.module.call("C_GenerateKeyPair", self.session, ctypes.byref(ck.Mechanism(ck.CKM_EC_KEY_PAIR_GEN, None, 0)), given,
                                     given.count, empty, 0, ctypes.byref(ULONG()), ctypes.byref(ULONG()))
        self.assertEqual(code(CKA_LABEL=b"x"), ck.TEMPLATE_INCOMPLETE)
        self.assertEqual(code(CKA_EC_PARAMS=bytes.fromhex("06082a8648ce3d030107")), ck.CURVE_NOT_SUPPORTED)
        self.assertEqual(code(CKA_EC_PARAMS=ck.SECP256K1, CKA_TOKEN=False), ck.TEMPLATE_INCONSISTENT)
        with Stderr() as said:
            self.assertEqual(code(CKA_EC_PARAMS=ck.SECP256K1, CKA_LABEL=b"aggregate"), ck.TEMPLATE_INCONSISTENT)
        self.assertIn("choose another", said.text)
        self.assertEqual(code(CKA_EC_PARAMS=ck.SECP256K1, CKA_VALUE=b"x"), ck.ATTRIBUTE_TYPE_INVALID)

    def test_labels_that_no_store_can_hold(self):
        """Refused before a key is made; and the store is read as before."""
        def code(label):
            given, empty = ck.template(CKA_EC_PARAMS=ck.SECP256K1, CKA_LABEL=label), ck.template()
            return self.module.call("C_GenerateKeyPair", self.session, ctypes.byref(ck.Mechanism(ck.CKM_EC_KEY_PAIR_GEN, None, 0)), given,
                                     given.count, empty, 0, ctypes.byref(ULONG()), ctypes.byref(ULONG()))
        before = self.keys_of_the_appliance()
        with Stderr():
            codes = [code(label) for label in (b"\xff", b"\xfe", b"\xff" * 64, b"line\nbreak", b"x" * 65, b"\xc3")]
        self.assertEqual(set(codes), {ck.ATTRIBUTE_VALUE_INVALID})
        self.assertEqual(self.keys_of_the_appliance(), before)
        self.rig.keymeld("credentials", "list", "--store", "treasury.credentials")

    def keys_of_the_appliance(self):
        with sqlite3.connect(f"file:{self.rig.ready['database']}?mode=ro", uri=True) as database:
            return database.execute("SELECT count(*) FROM single_keys WHERE public_key IS NOT NULL").fetchone()[0]

    def test_new_key_whose_credentials_cannot_be_kept(self):
        """A key that nobody could use, or delete, is taken back."""
        before = self.keys_of_the_appliance()
        in_the_way = self.rig.path("treasury.credentials.new")
        os.mkdir(in_the_way)
        try:
            with Stderr() as said, self.assertRaises(ck.Failed) as failed:
                self.module.generate(self.session, "lost")
        finally:
            os.rmdir(in_the_way)
        self.assertEqual(failed.exception.code, ck.FUNCTION_FAILED)
        self.assertRegex(said.text, r"treasury.credentials.new: .*; the key is deleted again")
        self.assertEqual(self.keys_of_the_appliance(), before)
        self.assertEqual(self.module.find(self.session, CKA_LABEL=b"lost"), [])

    def restart_with(self, damage):
        """C_Initialize over a damaged store; the store is whole again afterwards."""
        path = self.rig.path("treasury.credentials")
        with open(path, "rb") as file:
            whole = file.read()
        self.module.finalize()
        try:
            damage(path, whole)
            with Stderr() as said:
                self.module.initialize()
                code = self.module.call("C_OpenSession", 0, 6, None, None, ctypes.byref(ULONG()))
                if code == ck.OK:
                    session = self.module.open()
                    code = self.module.call("C_Login", session, 1, PIN.encode(), len(PIN))
            return code, said.text
        finally:
            with open(path, "wb") as file:
                file.write(whole)
            os.chmod(path, 0o600)

    def test_damaged_stores(self):
        def rewrite(change):
            def damage(path, whole):
                with open(path, "wb") as file:
                    file.write(change(whole))
            return damage

        cases = {
            "empty": (lambda whole: b"", ck.TOKEN_NOT_RECOGNIZED),
            "half": (lambda whole: whole[:len(whole) // 2], ck.TOKEN_NOT_RECOGNIZED),
            "binary": (lambda whole: bytes(range(256)) * 10, ck.TOKEN_NOT_RECOGNIZED),
            "a changed secret": (lambda whole: whole[:-40] + (b"0" if whole[-40:-39] != b"0" else b"1") + whole[-39:], ck.PIN_INCORRECT),
            "a changed address": (lambda whole: whole.replace(b"http://127.0.0.1", b"http://localhost"), ck.PIN_INCORRECT),
        }
        for name, (change, wanted) in cases.items():
            with self.subTest(name):
                code, said = self.restart_with(rewrite(change))
                self.assertEqual(code, wanted, said)
                self.assertTrue(said)
        code, said = self.restart_with(lambda path, whole: os.chmod(path, 0o666))
        self.assertEqual(code, ck.TOKEN_NOT_RECOGNIZED)
        self.assertIn("chmod 600", said)

    def test_configuration_errors(self):
        self.module.finalize()
        cases = {
            "log: loud\ntokens:\n  - credentials: x\n": r"pkcs11.yaml:1: log: is one of",
            "tokens:\n  - credentials: x\n    colour: red\n": r"pkcs11.yaml:3: colour: is no setting",
            "tokens:\n  - sign_timeout: 5\n": r"tokens: each needs `credentials`",
            "tokens: []\n": r"pkcs11.yaml:1: tokens:",
            "tokens:\n  - credentials: x\n    sign_timeout: soon\n": r"pkcs11.yaml:3: sign_timeout: is a number",
            "": r"tokens: at least one",
        }
        good = self.rig.path("pkcs11.yaml")
        with open(good, encoding="utf-8") as file:
            whole = file.read()
        try:
            for text, wanted in cases.items():
                self.rig.write("pkcs11.yaml", text, 0o644)
                with Stderr() as said:
                    self.assertEqual(self.module.call("C_Initialize", None), ck.GENERAL_ERROR)
                self.assertEqual(len(said.text.splitlines()), 1, said.text)
                self.assertRegex(said.text, wanted)
            self.rig.write("pkcs11.yaml", whole, 0o666)
            with Stderr() as said:
                self.assertEqual(self.module.call("C_Initialize", None), ck.GENERAL_ERROR)
            self.assertIn("can write it", said.text)
        finally:
            self.rig.write("pkcs11.yaml", whole, 0o644)

    def test_locking_arguments(self):
        self.module.finalize()
        callback = ctypes.cast(self.module.module.C_Finalize, ctypes.c_void_p)
        def code(**fields):
            return self.module.call("C_Initialize", ctypes.byref(ck.InitializeArgs(**fields)))
        four = {name: callback for name in ("create", "destroy", "lock", "unlock")}
        self.assertEqual(code(create=callback), ck.ARGUMENTS_BAD)
        self.assertEqual(code(**four), ck.CANT_LOCK)
        self.assertEqual(code(**four, flags=2), ck.OK)
        self.assertEqual(code(), ck.ALREADY_INITIALIZED)
        self.module.finalize()
        self.assertEqual(code(reserved=callback), ck.ARGUMENTS_BAD)
        self.assertEqual(self.module.call("C_Initialize", None), ck.OK)

    # ---- hostile callers -------------------------------------------------------------------------------------------

    def test_buffers_and_operations(self):
        size = ULONG(0)
        key = self.key()
        message = os.urandom(32)
        self.assertEqual(self.module.sign_only(self.session, message)[0], ck.OPERATION_NOT_INITIALIZED)
        self.assertEqual(self.module.sign_init(self.session, key), ck.OK)
        self.assertEqual(self.module.sign_init(self.session, key), ck.OPERATION_ACTIVE)
        self.assertEqual(self.module.call("C_Sign", self.session, message, 32, None, ctypes.byref(size)), ck.OK)
        self.assertEqual(size.value, 64)
        small = ctypes.create_string_buffer(63)
        size.value = 63
        self.assertEqual(self.module.call("C_Sign", self.session, message, 32, small, ctypes.byref(size)), ck.BUFFER_TOO_SMALL)
        self.assertEqual((size.value, small.raw), (64, bytes(63)))
        self.assertEqual(self.module.sign_only(self.session, message)[0], ck.OK)
        self.assertEqual(self.module.sign_only(self.session, message)[0], ck.OPERATION_NOT_INITIALIZED)
        for wrong in (b"", message[:31], message + b"."):
            self.assertEqual(self.module.sign(self.session, key, wrong)[0], ck.DATA_LEN_RANGE)
        self.assertEqual(self.module.call("C_Sign", self.session, message, 32, small, None), ck.OPERATION_NOT_INITIALIZED)
        # Whatever else goes wrong ends the operation.
        self.assertEqual(self.module.sign_init(self.session, key), ck.OK)
        self.assertEqual(self.module.call("C_Sign", self.session, message, 32, small, None), ck.ARGUMENTS_BAD)
        self.assertEqual(self.module.sign_only(self.session, message)[0], ck.OPERATION_NOT_INITIALIZED)
        sha256 = ctypes.byref(ck.Mechanism(ck.CKM_SHA256, None, 0))
        self.module.must("C_DigestInit", self.session, sha256)
        self.assertEqual(self.module.call("C_Digest", self.session, message, 32, small, None), ck.ARGUMENTS_BAD)
        self.module.must("C_DigestInit", self.session, sha256)
        self.module.must("C_FindObjectsInit", self.session, None, 0)
        self.module.must("C_SessionCancel", self.session, 0x400 | 0x40)
        self.module.must("C_DigestInit", self.session, sha256)
        self.module.must("C_FindObjectsInit", self.session, None, 0)
        self.module.must("C_SessionCancel", self.session, 0x400 | 0x40)

    def test_lengths_that_wrap_around(self):
        most = ULONG(-1).value
        for init, update, key in (("C_SignInit", "C_SignUpdate", self.key()), ("C_VerifyInit", "C_VerifyUpdate", self.module.key(self.session, "aggregate", False))):
            self.module.must(init, self.session, ctypes.byref(ck.Mechanism(ck.CKM_SCHNORR, None, 0)), key)
            self.module.must(update, self.session, bytes(8), 8)
            with Stderr() as said:
                self.assertEqual(self.module.call(update, self.session, bytes(8), most - 3), ck.DATA_LEN_RANGE)
            self.assertEqual(said.text, "")
            self.assertEqual(self.module.call(update, self.session, bytes(8), 8), ck.OPERATION_NOT_INITIALIZED)

    def test_handles_of_others(self):
        self.assertEqual(self.module.sign_init(self.session, 0), ck.KEY_HANDLE_INVALID)
        self.assertEqual(self.module.sign_init(self.session, 1 << 40), ck.KEY_HANDLE_INVALID)
        self.assertEqual(self.module.sign_init(self.session, self.module.key(self.session, "aggregate", False)), ck.KEY_TYPE_INCONSISTENT)
        self.assertEqual(self.module.sign_init(self.session, self.key(), ck.CKM_ECDSA), ck.KEY_TYPE_INCONSISTENT)
        self.assertEqual(self.module.sign_init(self.session, self.key(), 0x1), ck.MECHANISM_INVALID)
        self.assertEqual(self.module.sign_init(999999, self.key()), ck.SESSION_HANDLE_INVALID)
        point = ck.template(CKA_CLASS=2, CKA_KEY_TYPE=3, CKA_EC_PARAMS=ck.SECP256K1, CKA_EC_POINT=self.module.point(self.session, "aggregate"))
        other = self.module.open()
        handle = ULONG()
        self.module.must("C_CreateObject", other, point, point.count, ctypes.byref(handle))
        self.assertEqual(self.module.sign_init(self.session, handle.value), ck.KEY_TYPE_INCONSISTENT)
        message = os.urandom(32)
        signature = self.module.sign(self.session, self.key(), message)[1]
        self.assertEqual(self.module.verify(self.session, handle.value, message, signature), ck.OK)
        self.assertEqual(self.module.verify(self.session, handle.value, message, signature[:63]), ck.SIGNATURE_LEN_RANGE)
        self.assertEqual(self.module.verify(self.session, handle.value, message, bytes(64)), ck.SIGNATURE_INVALID)
        self.module.must("C_CloseSession", other)
        self.assertEqual(self.module.call("C_DestroyObject", self.session, handle.value), ck.OBJECT_HANDLE_INVALID)
        private = self.key()
        self.module.must("C_Logout", self.session)
        self.assertEqual(self.module.sign_init(self.session, private), ck.USER_NOT_LOGGED_IN)
        wanted = (ck.Attribute * 1)(ck.Attribute(ck.CKA_LABEL, None, 0))
        self.assertEqual(self.module.call("C_GetAttributeValue", self.session, private, wanted, 1), ck.OBJECT_HANDLE_INVALID)

    def test_attributes(self):
        key = self.key()
        kinds = (ck.CKA_LABEL, ck.CKA_VALUE, 0x7fffffff, ck.CKA_SIGN, ck.CKA_KEYMELD | 1, ck.CKA_KEYMELD | 3)
        wanted = (ck.Attribute * len(kinds))(*[ck.Attribute(kind, None, 0) for kind in kinds])
        self.assertIn(self.module.call("C_GetAttributeValue", self.session, key, wanted, len(kinds)),
                      (ck.ATTRIBUTE_SENSITIVE, ck.ATTRIBUTE_TYPE_INVALID))
        self.assertEqual([w.length for w in wanted], [9, ck.UNAVAILABLE, ck.UNAVAILABLE, 1, 6, 32])
        self.assertEqual(self.module.attribute(self.session, key, ck.CKA_KEYMELD | 1), b"musig2")
        self.assertEqual(self.module.attribute(self.session, key, ck.CKA_KEYMELD | 2), self.module.point(self.session, "aggregate")[1:33])
        self.assertEqual(self.module.call("C_SetAttributeValue", self.session, key, ck.template(CKA_LABEL=b"x"), 1), ck.ACTION_PROHIBITED)
        self.assertEqual(self.module.call("C_DestroyObject", self.session, key), ck.ACTION_PROHIBITED)
        raw = self.module.find(self.session, CKA_EC_POINT=self.module.point(self.session, "aggregate"))
        self.assertEqual(raw, [self.module.key(self.session, "aggregate", False)])

    def test_templates_that_are_refused(self):
        handle = ULONG()
        def code(**attributes):
            given = ck.template(**attributes)
            return self.module.call("C_CreateObject", self.session, given, given.count, ctypes.byref(handle))
        good = {"CKA_CLASS": 2, "CKA_KEY_TYPE": 3, "CKA_EC_PARAMS": ck.SECP256K1, "CKA_EC_POINT": self.module.point(self.session, "aggregate")}
        self.assertEqual(code(**good), ck.OK)
        self.assertEqual(code(**{**good, "CKA_CLASS": 3}), ck.ACTION_PROHIBITED)
        self.assertEqual(code(**{**good, "CKA_CLASS": 4}), ck.ACTION_PROHIBITED)
        self.assertEqual(code(**{**good, "CKA_TOKEN": True}), ck.ACTION_PROHIBITED)
        self.assertEqual(code(**{**good, "CKA_EC_PARAMS": bytes.fromhex("06082a8648ce3d030107")}), ck.CURVE_NOT_SUPPORTED)
        self.assertEqual(code(**{**good, "CKA_EC_POINT": b"\x04" + bytes(64)}), ck.ATTRIBUTE_VALUE_INVALID)
        self.assertEqual(code(**{**good, "CKA_CLASS": b"\x02"}), ck.ATTRIBUTE_VALUE_INVALID)
        self.assertEqual(code(CKA_LABEL=b"x"), ck.TEMPLATE_INCOMPLETE)
        self.assertEqual(code(CKA_CLASS=0, CKA_LABEL=b"x", CKA_VALUE=b"data"), ck.OK)
        self.assertEqual(self.module.attribute(self.session, handle.value, ck.CKA_VALUE), b"data")
        null = (ck.Attribute * 1)(ck.Attribute(ck.CKA_LABEL, None, 10))
        self.assertEqual(self.module.call("C_FindObjectsInit", self.session, null, 1), ck.ATTRIBUTE_VALUE_INVALID)
        self.assertEqual(self.module.call("C_FindObjectsInit", self.session, None, 1), ck.ARGUMENTS_BAD)


class Lossy:
    """A way to the appliance that loses the answer of the first request for `path`, after the appliance has given it."""

    def __init__(self, url, path):
        host, port = url.removeprefix("http://").split(":")
        self.to, self.path, self.seen = (host, int(port)), path, []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        self.accepting = threading.Thread(target=self.accept)
        self.accepting.start()

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.accepting.join()

    def accept(self):
        while True:
            try:
                client = self.server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    @staticmethod
    def read(file):
        """A message with its Content-Length."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            if not line:
                return b"", b""
            head += line
        length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        return head, file.read(int(length.group(1))) if length else b""

    def serve(self, client):
        with client, socket.create_connection(self.to) as appliance, client.makefile("rb") as asked, appliance.makefile("rb") as answered:
            while True:
                head, body = self.read(asked)
                if not head:
                    return
                appliance.sendall(head + body)
                answer = b"".join(self.read(answered))
                if self.path in head.split(b"\r\n")[0]:
                    self.seen.append(body)
                    if len(self.seen) == 1:
                        return
                client.sendall(answer)


class LostAnswer(unittest.TestCase):
    def test_repeat_costs_no_second_signature(self):
        """An answer that is lost is asked for again: the same request, one signature in the appliance."""
        rig = Rig(enclaves=1)
        way = Lossy(rig.url, b"/sign/single ")
        library = ck.Library()
        try:
            rig.store("treasury", "--url", way.url)
            rig.configure("generate_keys: true")
            os.environ["KEYMELD_PKCS11_CONFIG"] = rig.path("pkcs11.yaml")
            library.initialize()
            session = library.open()
            library.login(session, PIN)
            library.generate(session, "hot")
            digest = os.urandom(32)
            code, signature = library.sign(session, library.key(session, "hot"), digest, ck.CKM_ECDSA)
            self.assertEqual(code, ck.OK)
            self.assertTrue(ecdsa_verifies(library.point(session, "hot"), digest, signature))
            self.assertEqual(len(way.seen), 2)
            self.assertEqual(way.seen[0], way.seen[1])
            with sqlite3.connect(f"file:{rig.ready['database']}?mode=ro", uri=True) as database:
                self.assertEqual(database.execute("SELECT count(*) FROM key_signings").fetchone()[0], 1)
        finally:
            library.call("C_Finalize", None)
            way.close()
            rig.stop()


class RateLimited(unittest.TestCase):
    def test_more_than_the_appliance_takes(self):
        """A client whose requests stay refused says so, and signs again when there is room."""
        rig = Rig(limits=("rate_per_client=4", "rate_burst=20", "rate_delay_max=0s"))
        library = ck.Library()
        try:
            rig.store("treasury")
            rig.configure("generate_keys: true")
            os.environ["KEYMELD_PKCS11_CONFIG"] = rig.path("pkcs11.yaml")
            library.initialize()
            session = library.open()
            library.login(session, PIN)
            time.sleep(3) # the burst is whole again
            library.generate(session, "busy")
            codes = []

            def work():
                own = library.open()
                key = library.key(own, "busy")
                codes.extend(library.sign(own, key, os.urandom(32), ck.CKM_ECDSA)[0] for _ in range(5))

            threads = [threading.Thread(target=work) for _ in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(set(codes), {ck.OK, ck.DEVICE_MEMORY})
            time.sleep(3)
            self.assertEqual(library.sign(session, library.key(session, "busy"), os.urandom(32), ck.CKM_ECDSA)[0], ck.OK)
        finally:
            library.call("C_Finalize", None)
            rig.stop()


if __name__ == "__main__":
    unittest.main()
