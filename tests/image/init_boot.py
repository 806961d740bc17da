#!/usr/bin/env python3
"""Boots images under QEMU that hold our init, and a probe in the signer's place.

usage: init_boot.py      from ctest; KEYMELD_SOURCE_DIR and KEYMELD_BUILD_DIR name the tree and build/release

- what the signer would be left with: its account, no capability, a read-only root, a generator that is ready; and that the init reaps
  orphans and restarts the enclave when the signer ends
- without a Nitro security module the init starts nothing
- the production init accepts a heartbeat from the parent instance (CID 3) only

exit code 0: all as it should be; 1: not; 77: not run, because QEMU (scripts/get-qemu) or a kernel is not at hand
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.path.abspath(os.environ.get("KEYMELD_SOURCE_DIR", os.path.join(os.path.dirname(__file__), "../..")))
BUILD = os.path.abspath(os.environ.get("KEYMELD_BUILD_DIR", os.path.join(SOURCE, "build/release")))
QEMU = os.environ.get("KEYMELD_QEMU_DIR", os.path.join(SOURCE, ".cache/qemu"))
PROGRAMS = os.path.join(SOURCE, "build/image/bin")
CMDLINE = "console=ttyS0 quiet reboot=k panic=1 random.trust_cpu=off random.trust_bootloader=off"
# microvm has no keyboard controller to reset by, and on a busy machine the emulated timer is late for the kernel's check of it.
QEMU_CMDLINE = " reboot=t no_timer_check"
BOOTS = 3
PATIENCE = 90  # seconds for one boot; 3 on a quiet machine

EXPECTED = {
    "arguments": "keymeld-enclave --listen vsock:5000",
    "environment": "empty",
    "uid": "1000 1000 1000 1000",
    "gid": "1000 1000 1000 1000",
    "groups": "",
    "CapInh": "0000000000000000",
    "CapPrm": "0000000000000000",
    "CapEff": "0000000000000000",
    "CapBnd": "0000000000000000",
    "CapAmb": "0000000000000000",
    "NoNewPrivs": "1",
    "core": "0",
    "memlock": "unlimited",
    "setuid": "Operation not permitted",
    "root": "Read-only file system",
    "signer": "Read-only file system",
    "nsm": "opened",
    "descriptors": "",
    "init": "No such file or directory",  # hidepid: processes of others are not there
    "random": "ready",
    "orphan": "reaped",
}


def not_run(why):
    print(f"NOT RUN: {why}")
    sys.exit(77)


def find_kernel():
    script = '. scripts/lib/common.sh; . scripts/lib/kernel.sh; find_kernel ours test; printf %s "$kernel"'
    found = subprocess.run(["bash", "-c", "set -euo pipefail; " + script, "init_boot"], cwd=SOURCE, capture_output=True, text=True)
    if found.returncode != 0:
        not_run(found.stderr.strip())
    return found.stdout


def build_image(folder, init, kernel):
    for part, program, place in (("1", os.path.join(PROGRAMS, init), "init"),
                                 ("2", os.path.join(BUILD, "bin/tests/init_probe"), "app/keymeld-enclave")):
        target = os.path.join(folder, part, place)
        os.makedirs(os.path.dirname(target))
        shutil.copy(program, target)
    subprocess.run([os.path.join(BUILD, "bin/keymeld-eif"), "build", "--kernel", kernel, "--cmdline", CMDLINE, "--ramdisk", "1",
                    "--ramdisk", "2", "--out", "image.eif", "--pcrs", "pcrs.json"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([os.path.join(BUILD, "bin/keymeld-enclave"), "--sim-init", "pki"], cwd=folder, check=True)
    with open(os.path.join(folder, "image.eif"), "rb") as file:
        image = file.read()
    parts = {1: b"", 3: b""}
    for number in range(int.from_bytes(image[26:28], "big")):
        at = int.from_bytes(image[28 + 8 * number:36 + 8 * number], "big")
        size = int.from_bytes(image[at + 4:at + 12], "big")
        kind = int.from_bytes(image[at:at + 2], "big")
        parts[kind] = parts.get(kind, b"") + image[at + 12:at + 12 + size]
    for name, content in (("kernel", parts[1]), ("initrd", parts[3])):
        with open(os.path.join(folder, name), "wb") as out:
            out.write(content)


def answer_heartbeats(listener, beats):
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            beat = connection.recv(1)
            beats.append(beat)
            connection.sendall(beat)


def boot(init, kernel, module=True):
    """The console's text, what came as heartbeats, and QEMU's exit code. An emulated machine on a busy one may not get as far as the
    init; such a boot shows nothing, and is made again."""
    for _ in range(BOOTS):
        seen = boot_once(init, kernel, module)
        if "keymeld-init:" in seen[0]:
            return seen
        print(f"the kernel did not reach the init; its console: {seen[0].strip() or '(nothing)'}")
    return seen


def boot_once(init, kernel, module):
    with tempfile.TemporaryDirectory(prefix="km-boot-") as folder:
        build_image(folder, init, kernel)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(os.path.join(folder, "v.sock_9000"))
        listener.listen()
        beats = []
        threading.Thread(target=answer_heartbeats, args=(listener, beats), daemon=True).start()
        helpers = [subprocess.Popen([os.path.join(QEMU, "vhost-device-vsock"), "--vm", "guest-cid=4,socket=vhu.sock,uds-path=v.sock"],
                                    cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
        command = [os.path.join(QEMU, "qemu-system-x86_64"), "-M", "microvm,acpi=off,memory-backend=m",
                   "-object", "memory-backend-memfd,id=m,size=128M,share=on", "-m", "128M", "-accel", "tcg,thread=multi", "-cpu", "max",
                   "-nodefaults", "-no-user-config", "-nographic", "-serial", "stdio", "-no-reboot",
                   "-global", "virtio-mmio.force-legacy=false", "-kernel", "kernel", "-initrd", "initrd", "-append", CMDLINE + QEMU_CMDLINE,
                   "-chardev", "socket,id=c,path=vhu.sock", "-device", "vhost-user-vsock-device,chardev=c"]
        if module:
            device = subprocess.Popen([os.path.join(BUILD, "bin/keymeld-nsm-device"), "--socket", "nsm.sock", "--pki", "pki",
                                       "--eif", "image.eif"], cwd=folder, stdout=subprocess.PIPE, text=True)
            helpers.append(device)
            device.stdout.readline()  # "listening"
            command += ["-chardev", "socket,id=n,path=nsm.sock",
                        "-device", "vhost-user-test-device,chardev=n,virtio-id=33,num_vqs=1,vq_size=2"]
        try:
            while not os.path.exists(os.path.join(folder, "vhu.sock")):
                if helpers[0].poll() is not None:
                    raise SystemExit("vhost-device-vsock ended")
                time.sleep(0.05)
            time.sleep(0.2)  # bound, and soon listening
            run = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)
            return (run.stdout + run.stderr).decode(errors="replace"), beats, run.returncode
        except subprocess.TimeoutExpired as late:
            return (late.stdout or b"").decode(errors="replace"), beats, None
        finally:
            listener.close()
            for helper in helpers:
                helper.kill()
                helper.wait()


class Verdict:
    def __init__(self):
        self.failed = False

    def judge(self, title, console, *claims):
        wrong = [what for good, what in claims if not good]
        if wrong:
            self.failed = True
            print(f"FAILED: {title}\n  " + "\n  ".join(wrong) + f"\n--- console ---\n{console}\n---------------")


def main():
    if subprocess.run([os.path.join(SOURCE, "scripts/get-qemu"), "--check", QEMU], capture_output=True).returncode != 0:
        not_run(f"no QEMU that can boot an image in {QEMU}: scripts/get-qemu fetches it")
    kernel = find_kernel()
    subprocess.run([os.path.join(SOURCE, "scripts/build"), "image", "keymeld-init-test", "keymeld-init-nitro"], check=True)
    verdict = Verdict()

    console, beats, code = boot("keymeld-init-test", kernel)
    lines = console.splitlines()
    told = dict(line[len("probe: "):].split("=", 1) for line in lines if line.startswith("probe: "))
    verdict.judge(
        "what the signer is left with", console,
        *((told.get(name) == value, f"{name}: expected '{value}', found '{told.get(name)}'") for name, value in EXPECTED.items()),
        *((line in lines, f"no line '{line}'")
          for line in ("keymeld-init: heartbeat answered by CID 2", "keymeld-init: the signer ended with code 7",
                       "keymeld-init: restarting the enclave")),
        (beats == [b"\xb7"], f"heartbeats: {beats}"),
        (code == 0, f"no restart, QEMU's exit code is {code}"))

    console, beats, code = boot("keymeld-init-test", kernel, module=False)
    verdict.judge(
        "without a security module", console,
        ("probe:" not in console and beats == [], "something was started"),
        ("is not the Nitro security module" in console, "the init does not say why"),
        (code == 0, f"no restart, QEMU's exit code is {code}"))

    console, beats, code = boot("keymeld-init-nitro", kernel)
    verdict.judge(
        "the production init without a parent instance", console,
        ("probe:" not in console and beats == [], "it went on"),
        ("nobody answers the heartbeat" in console, "it does not say why"),
        (code == 0, f"no restart, QEMU's exit code is {code}"))
    return 1 if verdict.failed else 0


if __name__ == "__main__":
    sys.exit(main())
