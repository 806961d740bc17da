#!/usr/bin/env python3
"""Signatures per second through the PKCS#11 module, against SoftHSM2 in the same run, and how long a listing of many keys takes.

usage: pkcs11_bench.py BUILD_DIR [--rounds N] [--seconds S] [--keys N]

Interleaved: each round measures every case once, so that whatever else the machine does meets all of them. Medians over the rounds are printed
with their ratio to SoftHSM2. SoftHSM2 signs inside the process; KeyMeld's signatures are requests to an appliance and its enclaves,
all on this machine.
"""
import argparse
import ctypes
import os
import statistics
import subprocess
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


def rate(library, slot, label, mechanism, threads, seconds, pin):
    """Signatures per second of `threads` sessions together."""
    import cryptoki as ck
    main = library.open(slot)
    if library.call("C_Login", main, 1, pin.encode(), len(pin)) not in (ck.OK, ck.USER_ALREADY_LOGGED_IN):
        raise RuntimeError("no login")
    counts, failed = [0] * threads, []
    start, end = threading.Barrier(threads + 1), [0.0]

    def work(i):
        session = library.open(slot)
        key = library.key(session, label)
        start.wait()
        while time.monotonic() < end[0]:
            code, _ = library.sign(session, key, os.urandom(32), mechanism)
            if code != ck.OK:
                failed.append(hex(code))
                break
            counts[i] += 1
        library.must("C_CloseSession", session)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    begin = time.monotonic()
    end[0] = begin + seconds
    start.wait()
    for worker in workers:
        worker.join()
    took = time.monotonic() - begin
    library.must("C_CloseSession", main)
    if failed:
        raise RuntimeError(f"{label}: {failed}")
    return sum(counts) / took


def softhsm(rig, keys):
    """A SoftHSM2 token with a signing key, and another with `keys` keys."""
    import cryptoki as ck
    os.makedirs(rig.path("softhsm"))
    rig.write("softhsm2.conf", f"directories.tokendir = {rig.path('softhsm')}\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = rig.environment["SOFTHSM2_CONF"] = rig.path("softhsm2.conf")
    rig.run("softhsm2-util", "--init-token", "--free", "--label", "soft", "--pin", "1234", "--so-pin", "1234")
    library = ck.Library(SOFTHSM)
    library.initialize()
    slot = (ck.ULONG * 8)()
    library.must("C_GetSlotList", ctypes.c_ubyte(1), slot, ctypes.byref(ck.ULONG(8)))
    session = library.open(slot[0])
    library.login(session, "1234")
    library.generate(session, "hot")
    return library, slot[0], session


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--keys", type=int, default=1000)
    options = parser.parse_args()
    if not os.path.exists(SOFTHSM):
        sys.exit("SoftHSM2 is not installed (softhsm2)")
    os.environ["KEYMELD_BUILD_DIR"] = os.path.abspath(options.build)
    os.environ["KEYMELD_SOURCE_DIR"] = SOURCE
    os.environ.setdefault("KEYMELD_MODULE", os.path.join(os.path.abspath(options.build), "lib", "libkeymeld-pkcs11.so"))
    sys.path.insert(0, os.path.join(SOURCE, "tests", "pkcs11"))
    import cryptoki as ck
    import rig as rigs
    rig = rigs.Rig(enclaves=3)
    try:
        rig.store("treasury")
        rig.configure("generate_keys: true")
        rig.musig_key("treasury", "vault", ("none", "none", "none"), 4_000_000)
        os.environ["KEYMELD_PKCS11_CONFIG"] = rig.path("pkcs11.yaml")
        keymeld = ck.Library()
        keymeld.initialize()
        session = keymeld.open()
        keymeld.login(session, rigs.PIN)
        keymeld.generate(session, "hot")
        soft, soft_slot, soft_session = softhsm(rig, options.keys)

        cases = {
            "SoftHSM2 ECDSA": (soft, soft_slot, "hot", ck.CKM_ECDSA, "1234"),
            "KeyMeld ECDSA": (keymeld, 0, "hot", ck.CKM_ECDSA, rigs.PIN),
            "KeyMeld BIP-340": (keymeld, 0, "hot", ck.CKM_SCHNORR, rigs.PIN),
            "KeyMeld MuSig2, 3 parties": (keymeld, 0, "vault", ck.CKM_SCHNORR, rigs.PIN),
        }
        seen = {}
        for _ in range(options.rounds):
            for threads in (1, 2, 8):
                for name, (library, slot, label, mechanism, pin) in cases.items():
                    seen.setdefault((name, threads), []).append(rate(library, slot, label, mechanism, threads, options.seconds, pin))
        print("| signatures/s | 1 thread | 2 threads | 8 threads |\n|---|---|---|---|")
        for name in cases:
            row = []
            for threads in (1, 2, 8):
                own = statistics.median(seen[name, threads])
                row.append(f"{own:,.0f} ({own / statistics.median(seen['SoftHSM2 ECDSA', threads]):.3f})")
            print(f"| {name} | " + " | ".join(row) + " |")

        for i in range(1, options.keys):
            keymeld.generate(session, f"key {i}")
            soft.generate(soft_session, f"key {i}")
        listing = {"SoftHSM2": ["pkcs11-tool", "--module", SOFTHSM, "--login", "--pin", "1234", "-O"],
                   "KeyMeld": ["pkcs11-tool", "--module", os.environ["KEYMELD_MODULE"], "--login", "--pin", rigs.PIN, "-O"]}
        took = {name: [] for name in listing}
        for _ in range(options.rounds):
            for name, command in listing.items():
                begin = time.monotonic()
                done = subprocess.run(command, env=rig.environment, capture_output=True, check=True)
                took[name].append(time.monotonic() - begin)
                if done.stdout.count(b"Private Key Object") < options.keys:
                    raise RuntimeError(f"{name} does not list all keys")
        for name in listing:
            print(f"pkcs11-tool -O, {options.keys} keys, {name}: {statistics.median(took[name]):.2f} s")
        keymeld.finalize()
        soft.finalize()
    finally:
        rig.stop()


if __name__ == "__main__":
    main()
