#!/usr/bin/env python3
"""Runs the commands that a document shows, in its order, in one shell, in a scratch copy of what a user has after scripts/demo.

usage: docs_commands.py SOURCE_DIR BUILD_DIR DOCUMENT ...

A fenced `sh` block is run if the line before it is a marker:
  <!-- run -->                          every command must succeed
  <!-- run: until HOST:PORT -->         each line is a program that goes on; the next block starts when the port is open
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^<!-- run(?:: until (?P<address>[0-9.]+:[0-9]+))? -->\n+```sh\n(?P<text>.*?)^```$", re.M | re.S)


def script_of(document):
    lines = ["set -euo pipefail"]
    for block in BLOCK.finditer(open(document, encoding="utf-8").read()):
        text = block["text"]
        if block["address"] is None:
            lines.append(text)
            continue
        for command in text.splitlines():
            lines.append(f"{command} >>background.log 2>&1 &")
        host, port = block["address"].split(":")
        lines.append(f"for i in $(seq 150); do (: </dev/tcp/{host}/{port}) 2>/dev/null && break; sleep 0.2; done")
        lines.append(f"(: </dev/tcp/{host}/{port}) || {{ cat background.log; exit 1; }}")
    if len(lines) == 1:
        raise SystemExit(f"{document}: no block is marked to be run")
    return "\n".join(lines) + "\n"


def run(source, build, document):
    # Paths of a user's checkout, without writing into this one.
    root = tempfile.mkdtemp(prefix="keymeld-docs-")
    try:
        shutil.copytree(os.path.join(source, "config"), os.path.join(root, "config"))
        os.makedirs(os.path.join(root, "build"))
        os.symlink(build, os.path.join(root, "build", "release"))
        os.symlink(os.path.join(source, "scripts"), os.path.join(root, "scripts"))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("KEYMELD_")}
        shell = subprocess.Popen(["bash", "-c", script_of(document)], cwd=root, env=environment, start_new_session=True,
                                 stdin=subprocess.DEVNULL)
        try:
            return shell.wait(timeout=150)
        finally:
            try:
                os.killpg(shell.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
    finally:
        shutil.rmtree(root, ignore_errors=True)


def main():
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    source, build = sys.argv[1:3]
    failed = 0
    for document in sys.argv[3:]:
        code = run(source, build, os.path.join(source, document))
        print(f"{document}: {'all commands succeed' if code == 0 else f'a command failed, exit code {code}'}")
        failed += code != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
