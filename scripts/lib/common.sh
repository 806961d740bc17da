# shellcheck shell=bash
# What every script here shares: its name in messages, help from its own header, and running a command as root.
# Sourced, never run. The caller has `set -euo pipefail`.
# shellcheck disable=SC2034

keymeld_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
keymeld_script=${0##*/}

say() { printf '%s: %s\n' "$keymeld_script" "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}

# The help of a script is the comment block below its first line.
print_help() { awk 'NR > 1 { if (!/^#/) exit; sub(/^# ?/, ""); print }' "$0"; }

bad_usage() {
    say "error: $* (see: $0 --help)"
    exit 2
}

# as_root COMMAND...: runs it as root, through sudo where that is needed.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "installing packages needs root, and there is no sudo here: run this script as root"
    fi
}

# make_scratch: makes $scratch, a temporary folder that goes away when the script ends.
make_scratch() {
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
}
