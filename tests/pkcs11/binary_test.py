"""The built library: what it exports, what it needs, what it registers, and that it can go."""
import ctypes
import os
import re
import subprocess
import unittest

MODULE = os.environ["KEYMELD_MODULE"]
HEADER = "/usr/include/p11-kit-1/p11-kit/pkcs11.h"


def symbols(*options):
    out = subprocess.run(["nm", "-D", *options, MODULE], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines() if line}


class Binary(unittest.TestCase):
    def test_exports_every_function_and_nothing_else(self):
        with open(HEADER, encoding="utf-8") as text:
            wanted = set(re.findall(r"_CK_DECLARE_FUNCTION \((C_\w+)", text.read()))
        self.assertEqual(len(wanted), 68)
        with open(os.path.join(os.environ["KEYMELD_SOURCE_DIR"], "pkcs11/functions_3_0.h"), encoding="utf-8") as text:
            newer = set(re.findall(r"FUNCTION\((C_\w+)", text.read()))
        self.assertEqual(len(newer), 24)
        self.assertEqual(symbols("--defined-only"), wanted | newer)

    def test_needs_few_libraries(self):
        out = subprocess.run(["readelf", "-d", MODULE], capture_output=True, text=True, check=True).stdout
        needed = {re.sub(r"\.so.*", "", name) for name in re.findall(r"NEEDED.*\[(.*)\]", out)}
        self.assertLessEqual(needed, {"libsecp256k1", "libssl", "libcrypto", "libstdc++", "libgcc_s", "libc", "libm", "ld-linux-x86-64",
                                      "ld-linux-aarch64"})

    def test_destroys_nothing_at_exit(self):
        """No object of static storage has its destructor registered, neither for the process nor for a thread."""
        self.assertEqual({name for name in symbols("--undefined-only") if "atexit" in name}, set())

    def test_loads_and_unloads(self):
        """In a process of its own: after dlclose the library is no longer mapped, and it can be loaded again."""
        script = (
            "import ctypes, sys\n"
            "libc = ctypes.CDLL(None)\n"
            "libc.dlclose.argtypes = [ctypes.c_void_p]\n"
            "for _ in range(50):\n"
            "    module = ctypes.CDLL(sys.argv[1])\n"
            "    assert module.C_Finalize(None) == 0x190\n"
            "    function = ctypes.c_void_p()\n"
            "    assert module.C_GetFunctionList(ctypes.byref(function)) == 0\n"
            "    assert libc.dlclose(module._handle) == 0\n"
            "    assert 'keymeld-pkcs11' not in open('/proc/self/maps').read()\n")
        subprocess.run(["python3", "-c", script, MODULE], check=True, timeout=60)

    def test_interfaces(self):
        class Version(ctypes.Structure):
            _fields_ = [("major", ctypes.c_ubyte), ("minor", ctypes.c_ubyte)]

        class Interface(ctypes.Structure):
            _fields_ = [("name", ctypes.c_char_p), ("functions", ctypes.POINTER(Version)), ("flags", ctypes.c_ulong)]

        module = ctypes.CDLL(MODULE)
        count = ctypes.c_ulong(0)
        self.assertEqual(module.C_GetInterfaceList(None, ctypes.byref(count)), 0)
        self.assertEqual(count.value, 2)
        listed = (Interface * 2)()
        self.assertEqual(module.C_GetInterfaceList(listed, ctypes.byref(count)), 0)
        self.assertEqual([(i.name, i.functions[0].major, i.functions[0].minor) for i in listed], [(b"PKCS 11", 3, 0), (b"PKCS 11", 2, 40)])
        chosen = ctypes.POINTER(Interface)()
        self.assertEqual(module.C_GetInterface(None, None, ctypes.byref(chosen), 0), 0)
        self.assertEqual(chosen[0].functions[0].major, 3)
        older = Version(2, 40)
        self.assertEqual(module.C_GetInterface(b"PKCS 11", ctypes.byref(older), ctypes.byref(chosen), 1), 0)
        self.assertEqual((chosen[0].functions[0].major, chosen[0].functions[0].minor), (2, 40))
        unknown = Version(4, 0)
        self.assertEqual(module.C_GetInterface(b"PKCS 11", ctypes.byref(unknown), ctypes.byref(chosen), 0), 6)
        self.assertEqual(module.C_GetInterface(b"Other", None, ctypes.byref(chosen), 0), 6)
        count.value = 1
        self.assertEqual(module.C_GetInterfaceList(listed, ctypes.byref(count)), 0x150)


if __name__ == "__main__":
    unittest.main()
