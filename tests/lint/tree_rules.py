#!/usr/bin/env python3
"""Checks rules of the tree that are not about includes.

usage: tree_rules.py SOURCE_DIR

- every first-level folder has a README.md of at most 15 lines
- no file over 1 MB, no source file over 700 lines
- no co_await inside a conditional expression (GCC 12 compiles it wrongly)
- no skipped or disabled test without a reason in the same statement
- scripts are executable and answer --help
- relative links between documents lead somewhere
"""
import os
import re
import subprocess
import sys

FOLDERS_WITHOUT_README = {"build", "docs", "node_modules", "var"}
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def tracked(root):
    out = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                         check=True, capture_output=True)
    return [path for path in out.stdout.decode().split("\0") if path and os.path.exists(os.path.join(root, path))]


def check(root):
    found = []
    files = tracked(root)
    for folder in sorted({path.split("/")[0] for path in files if "/" in path}):
        if folder.startswith(".") or folder in FOLDERS_WITHOUT_README:
            continue
        readme = os.path.join(root, folder, "README.md")
        if not os.path.exists(readme):
            found.append(f"{folder}/README.md is missing")
        elif len(open(readme, encoding="utf-8").read().splitlines()) > 15:
            found.append(f"{folder}/README.md has more than 15 lines")
    for path in files:
        full = os.path.join(root, path)
        if os.path.getsize(full) > 1_000_000:
            found.append(f"{path} is larger than 1 MB")
        if path.endswith((".cpp", ".h")):
            text = open(full, encoding="utf-8").read()
            if text.count("\n") > 700:
                found.append(f"{path} has more than 700 lines")
            if re.search(r"[?:]\s*co_await\b", text):
                found.append(f"{path}: co_await in a conditional expression; make it a statement of its own")
            if re.search(r"GTEST_SKIP\(\)\s*;", text):
                found.append(f"{path}: GTEST_SKIP() without a reason")
            if "DISABLED_" in text:
                found.append(f"{path}: a disabled test")
        if path.endswith(".md"):
            text = re.sub(r"```.*?```", "", open(full, encoding="utf-8").read(), flags=re.S)
            for target in LINK.findall(text):
                if "://" in target or target.startswith("mailto:"):
                    continue
                if not os.path.exists(os.path.join(root, os.path.dirname(path), target)):
                    found.append(f"{path}: link to {target} leads nowhere")
        if path.startswith("scripts/") and path.count("/") == 1 and not path.endswith(".md"):
            if not os.access(full, os.X_OK):
                found.append(f"{path} is not executable")
            elif subprocess.run([full, "--help"], capture_output=True, timeout=20).returncode != 0:
                found.append(f"{path} --help fails")
    return found


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = check(sys.argv[1])
    print("\n".join(found) if found else "tree rules: no violation")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
