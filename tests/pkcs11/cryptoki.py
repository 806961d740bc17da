"""PKCS#11 by ctypes, for tests that need every argument in their own hands."""
import ctypes
import os
import struct

ULONG = ctypes.c_ulong
OK = 0
SLOT_ID_INVALID, GENERAL_ERROR, FUNCTION_FAILED, ARGUMENTS_BAD, CANT_LOCK = 3, 5, 6, 7, 0xA
ATTRIBUTE_SENSITIVE, ATTRIBUTE_TYPE_INVALID, ATTRIBUTE_VALUE_INVALID, ACTION_PROHIBITED = 0x11, 0x12, 0x13, 0x1B
DATA_LEN_RANGE, DEVICE_ERROR, DEVICE_MEMORY, DEVICE_REMOVED = 0x21, 0x30, 0x31, 0x32
FUNCTION_CANCELED, FUNCTION_NOT_SUPPORTED, FUNCTION_REJECTED = 0x50, 0x54, 0x200
KEY_HANDLE_INVALID, KEY_TYPE_INCONSISTENT, KEY_FUNCTION_NOT_PERMITTED = 0x60, 0x63, 0x68
MECHANISM_INVALID, MECHANISM_PARAM_INVALID, OBJECT_HANDLE_INVALID = 0x70, 0x71, 0x82
OPERATION_ACTIVE, OPERATION_NOT_INITIALIZED, PIN_INCORRECT, PIN_LEN_RANGE = 0x90, 0x91, 0xA0, 0xA2
SESSION_HANDLE_INVALID, SESSION_READ_ONLY_EXISTS, SIGNATURE_INVALID, SIGNATURE_LEN_RANGE = 0xB3, 0xB7, 0xC0, 0xC1
TEMPLATE_INCOMPLETE, TEMPLATE_INCONSISTENT, TOKEN_NOT_PRESENT, TOKEN_NOT_RECOGNIZED = 0xD0, 0xD1, 0xE0, 0xE1
USER_ALREADY_LOGGED_IN, USER_NOT_LOGGED_IN, USER_TYPE_INVALID = 0x100, 0x101, 0x103
CURVE_NOT_SUPPORTED, BUFFER_TOO_SMALL = 0x140, 0x150
NOT_INITIALIZED, ALREADY_INITIALIZED = 0x190, 0x191
CKO_DATA, CKO_CERTIFICATE, CKO_PUBLIC_KEY, CKO_PRIVATE_KEY = 0, 1, 2, 3
CKA_CLASS, CKA_TOKEN, CKA_PRIVATE, CKA_LABEL, CKA_VALUE, CKA_ID = 0, 1, 2, 3, 0x11, 0x102
CKA_KEY_TYPE, CKA_EC_PARAMS, CKA_EC_POINT, CKA_SIGN, CKA_VERIFY = 0x100, 0x180, 0x181, 0x108, 0x10A
CKM_ECDSA, CKM_ECDSA_SHA256, CKM_EC_KEY_PAIR_GEN, CKM_SHA256 = 0x1041, 0x1044, 0x1040, 0x250
CKM_SCHNORR = 0xCB4D4401
CKA_KEYMELD = 0xCB4D4400
SECP256K1 = bytes.fromhex("06052b8104000a")
RO, RW = 4, 6
UNAVAILABLE = ULONG(-1).value


class Attribute(ctypes.Structure):
    _fields_ = [("type", ULONG), ("value", ctypes.c_void_p), ("length", ULONG)]


class Mechanism(ctypes.Structure):
    _fields_ = [("mechanism", ULONG), ("parameter", ctypes.c_void_p), ("length", ULONG)]


class InitializeArgs(ctypes.Structure):
    _fields_ = [("create", ctypes.c_void_p), ("destroy", ctypes.c_void_p), ("lock", ctypes.c_void_p), ("unlock", ctypes.c_void_p),
                ("flags", ULONG), ("reserved", ctypes.c_void_p)]


def template(**attributes):
    """template(CKA_CLASS=2): numbers are CK_ULONG, booleans CK_BBOOL, the rest bytes. Keeps its values alive."""
    out = (Attribute * max(1, len(attributes)))()
    out.values = []
    for place, (name, value) in zip(out, attributes.items()):
        if isinstance(value, bool):
            value = bytes([value])
        elif isinstance(value, int):
            value = struct.pack("L", value)
        buffer = ctypes.create_string_buffer(value, len(value))
        out.values.append(buffer)
        place.type = name if isinstance(name, int) else globals()[name]
        place.value = ctypes.cast(buffer, ctypes.c_void_p)
        place.length = len(value)
    out.count = len(attributes)
    return out


class Failed(Exception):
    def __init__(self, name, code):
        super().__init__(f"{name}: {code:#x}")
        self.code = code


class Library:
    """One loaded module. call() returns the code, must() raises unless it is OK."""

    def __init__(self, path=None):
        self.module = ctypes.CDLL(path or os.environ["KEYMELD_MODULE"])

    def call(self, name, *arguments):
        function = getattr(self.module, name)
        function.restype = ULONG
        return function(*[ULONG(a) if isinstance(a, int) and not isinstance(a, bool) else a for a in arguments])

    def must(self, name, *arguments):
        code = self.call(name, *arguments)
        if code != OK:
            raise Failed(name, code)

    def initialize(self, flags=2):
        self.must("C_Initialize", ctypes.byref(InitializeArgs(flags=flags)))

    def finalize(self):
        self.must("C_Finalize", None)

    def open(self, slot=0, flags=RW):
        session = ULONG()
        self.must("C_OpenSession", slot, flags, None, None, ctypes.byref(session))
        return session.value

    def login(self, session, pin):
        self.must("C_Login", session, 1, pin.encode(), len(pin.encode()))

    def find(self, session, **wanted):
        attributes = template(**wanted)
        self.must("C_FindObjectsInit", session, attributes, attributes.count)
        found, handles, count = [], (ULONG * 100)(), ULONG()
        while True:
            self.must("C_FindObjects", session, handles, 100, ctypes.byref(count))
            if count.value == 0:
                break
            found += handles[:count.value]
        self.must("C_FindObjectsFinal", session)
        return found

    def key(self, session, label, private=True):
        found = self.find(session, CKA_CLASS=CKO_PRIVATE_KEY if private else CKO_PUBLIC_KEY, CKA_LABEL=label.encode())
        if len(found) != 1:
            raise AssertionError(f"{len(found)} keys with the label {label}")
        return found[0]

    def attribute(self, session, handle, kind):
        wanted = (Attribute * 1)(Attribute(kind, None, 0))
        self.must("C_GetAttributeValue", session, handle, wanted, 1)
        buffer = ctypes.create_string_buffer(max(1, wanted[0].length))
        wanted[0].value = ctypes.cast(buffer, ctypes.c_void_p)
        self.must("C_GetAttributeValue", session, handle, wanted, 1)
        return buffer.raw[:wanted[0].length]

    def point(self, session, label):
        return self.attribute(session, self.key(session, label, private=False), CKA_EC_POINT)[2:]

    def sign_init(self, session, key, mechanism=CKM_SCHNORR):
        return self.call("C_SignInit", session, ctypes.byref(Mechanism(mechanism, None, 0)), key)

    def sign(self, session, key, data, mechanism=CKM_SCHNORR):
        """(code, signature)"""
        code = self.sign_init(session, key, mechanism)
        if code != OK:
            return code, b""
        return self.sign_only(session, data)

    def sign_only(self, session, data):
        out, size = ctypes.create_string_buffer(64), ULONG(64)
        code = self.call("C_Sign", session, data, len(data), out, ctypes.byref(size))
        return code, out.raw[:size.value] if code == OK else b""

    def verify(self, session, key, data, signature, mechanism=CKM_SCHNORR):
        self.must("C_VerifyInit", session, ctypes.byref(Mechanism(mechanism, None, 0)), key)
        return self.call("C_Verify", session, data, len(data), signature, len(signature))

    def generate(self, session, label):
        public, private = ULONG(), ULONG()
        public_template = template(CKA_TOKEN=True, CKA_LABEL=label.encode(), CKA_EC_PARAMS=SECP256K1, CKA_VERIFY=True)
        private_template = template(CKA_TOKEN=True, CKA_PRIVATE=True, CKA_LABEL=label.encode(), CKA_SIGN=True)
        self.must("C_GenerateKeyPair", session, ctypes.byref(Mechanism(CKM_EC_KEY_PAIR_GEN, None, 0)), public_template, public_template.count,
                  private_template, private_template.count, ctypes.byref(public), ctypes.byref(private))
        return public.value, private.value
