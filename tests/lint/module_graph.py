#!/usr/bin/env python3
"""Checks the include graph of the tree against the rules of docs/architecture.md.

usage: module_graph.py SOURCE_DIR      exit 0: the tree keeps the rules; 1: it does not, one line per violation
       module_graph.py --self-test     plants one violation of each kind in a scratch tree and expects to find it
"""
import os
import re
import sys
import tempfile

# A module may include itself and what stands before it in a chain it belongs to.
CORE = {
    "core/base": [],
    "core/secure": ["core/base"],
    "core/crypto": ["core/base", "core/secure"],
    "core/bitcoin": ["core/base", "core/secure", "core/crypto"],
    "core/attestation": ["core/base", "core/secure", "core/crypto"],
    "core/musig": ["core/base", "core/secure", "core/crypto", "core/bitcoin"],
}
UP_TO_MUSIG = [*CORE, "core/attestation"]
CORE["core/protocol"] = UP_TO_MUSIG
CORE["core/session"] = [*UP_TO_MUSIG, "core/protocol"]
CORE["core/plugin"] = [*UP_TO_MUSIG, "core/protocol", "core/session"]
CORE["core/config"] = [*CORE["core/plugin"], "core/plugin"]
CORE["core/engine"] = [*CORE["core/config"], "core/config"]

ALLOWED = dict(CORE)
ALLOWED["plugins/tweak-taproot"] = CORE["core/config"]
ALLOWED["plugins/storage-sqlite"] = CORE["core/config"]
ALLOWED["plugins/transport-tcp-sim"] = CORE["core/config"]
ALLOWED["plugins/transport-vsock"] = CORE["core/config"]
# The signer: base ... session and the tweak rules; no loader, configuration, engine, YAML, SQLite or Beast.
ALLOWED["enclave"] = [*CORE["core/session"], "core/session", "plugins/tweak-taproot/tweak_rules.h"]
# The client library is loaded into strangers' processes by pkcs11: nothing of the appliance's inside.
ALLOWED["appliance/json"] = ["core/base"]
ALLOWED["appliance/client"] = [*UP_TO_MUSIG, "appliance/json", "plugins/tweak-taproot/tweak_rules.h"]
ALLOWED["pkcs11"] = ["core/base", "appliance/client"]
ALLOWED["appliance"] = [*CORE["core/engine"], "core/engine", "appliance/client", "appliance/json"]

# A third-party header may be included from these places only.
THIRD_PARTY = [
    (r"sqlite3\.h", ["plugins/storage-sqlite"]),
    (r"boost/dll.*", ["core/plugin"]),
    (r"boost/beast.*", ["appliance"]),
    (r"boost/json.*", ["appliance", "tests"]),
    (r"yaml-cpp/.*", ["core/config"]),
    # The benchmark's yardstick is the bare library.
    (r"secp256k1.*", ["core/crypto", "core/bitcoin", "core/musig", "appliance/bench/plain_ceremony.cpp"]),
    (r"openssl/.*", ["core/secure", "core/crypto", "core/attestation", "enclave/nsm", "appliance"]),
    (r"spdlog/.*", ["core/base"]),
    (r"prometheus/.*", ["appliance/metrics"]),
    (r"p11-kit/.*", ["pkcs11"]),
]
# Tests and benchmarks compare with the raw library: they may include what they measure against.
FREE = ["tests/"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def module_of(path):
    best = ""
    for name in ALLOWED:
        if (path == name or path.startswith(name + "/")) and len(name) > len(best):
            best = name
    return best


def violations(root):
    found = []
    for top in ("core", "plugins", "enclave", "appliance", "pkcs11", "tests"):
        for folder, _, files in os.walk(os.path.join(root, top)):
            for name in sorted(files):
                if not name.endswith((".h", ".cpp", ".c")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), root)
                with open(os.path.join(root, path), encoding="utf-8") as text:
                    for number, line in enumerate(text, 1):
                        match = INCLUDE.match(line)
                        if match:
                            why = judge(path, match.group(1), match.group(2))
                            if why:
                                found.append(f"{path}:{number}: {why}")
    return found


def judge(path, bracket, target):
    for pattern, places in THIRD_PARTY:
        if re.fullmatch(pattern, target):
            if any(path == place or path.startswith(place + "/") for place in places) or path.startswith(tuple(FREE)):
                break
            return f"includes {target}: only {', '.join(places)} may"
    if re.fullmatch(r"secp256k1.*", target) and path.endswith(".h") and not path.startswith("tests/"):
        return f"includes {target}: only source files may, not headers"
    if bracket == "<" or path.startswith("tests/"):
        return None
    if not target.startswith(("core/", "plugins/", "enclave/", "appliance/", "pkcs11/", "tests/")):
        return f"includes \"{target}\": write the path from the root of the tree"
    if target.startswith("tests/"):
        return f"includes \"{target}\": product code may not include tests"
    module = module_of(path)
    if not module:
        return "belongs to no module that this check knows: add it to the graph"
    if module_of(target) == module:
        return None
    for allowed in ALLOWED[module]:
        if target == allowed or (module_of(target) == allowed and not allowed.endswith(".h")):
            return None
    return f"includes \"{target}\": {module} may not depend on it"


def self_test():
    planted = {
        "core/base/a.h": '#include "core/crypto/hkdf.h"',
        "core/crypto/b.cpp": "#include <sqlite3.h>",
        "core/musig/c.h": "#include <secp256k1_musig.h>",
        "enclave/signer/d.cpp": '#include "core/config/config.h"',
        "appliance/client/e.cpp": '#include "core/engine/engine.h"',
        "core/engine/f.cpp": '#include "appliance/api/g.h"',
        "core/session/h.cpp": '#include "status.h"',
        "enclave/signer/i.cpp": '#include "core/plugin/loader.h"',
        "appliance/api/j.cpp": '#include "tests/support/x.h"',
    }
    allowed = {
        "core/engine/ok.cpp": '#include "core/plugin/storage.h"\n#include <vector>',
        "core/musig/ok.cpp": "#include <secp256k1_musig.h>",
        "enclave/ok.cpp": '#include "plugins/tweak-taproot/tweak_rules.h"',
    }
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**planted, **allowed}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                out.write(text + "\n")
        found = {line.split(":")[0] for line in violations(root)}
    missed = set(planted) - found
    wrong = found & set(allowed)
    for path in sorted(missed):
        print(f"self-test: the violation in {path} was not found")
    for path in sorted(wrong):
        print(f"self-test: {path} is allowed but was reported")
    return 1 if missed or wrong else 0


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    if sys.argv[1] == "--self-test":
        return self_test()
    found = violations(sys.argv[1])
    print("\n".join(found) if found else "module graph: no violation")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
