# shellcheck shell=bash
# The enclave's kernel: where it may be, and whether it is one that we know. Sourced after common.sh.
# shellcheck disable=SC2034,SC2154

kernel_cache=$keymeld_root/.cache/kernel/bzImage

# kernel_hashes KIND...: the SHA-256 of each kernel of these kinds (ours, test) in enclave/image/kernel.sha256.
kernel_hashes() {
    local kind
    for kind; do awk -v kind="$kind" '$1 == kind { print $2 }' "$keymeld_root/enclave/image/kernel.sha256"; done
}

# is_kernel FILE KIND...: true when FILE is a kernel of one of the kinds, byte for byte.
is_kernel() {
    local file=$1
    shift
    [ -f "$file" ] && grep -qxF "$(sha256sum <"$file" | cut -d' ' -f1)" <<<"$(kernel_hashes "$@")"
}

# find_kernel KIND...: sets $kernel to a kernel of one of the kinds, or ends the script and says what to do. Looked at:
# KEYMELD_KERNEL if it is set, and nothing else then; the cached file; for tests, shared/nitro beside the checkout.
find_kernel() {
    local candidates=("$kernel_cache" "$keymeld_root/../shared/nitro/bzImage")
    if [ -n "${KEYMELD_KERNEL:-}" ]; then
        candidates=("$KEYMELD_KERNEL")
        [ -f "$KEYMELD_KERNEL" ] || die "KEYMELD_KERNEL names $KEYMELD_KERNEL, which is no file"
    fi
    for kernel in "${candidates[@]}"; do
        if is_kernel "$kernel" "$@"; then return; fi
        [ ! -f "$kernel" ] || say "$kernel is not a kernel that may be used here: its SHA-256 is not in enclave/image/kernel.sha256 as ${*// / or }"
    done
    die "no kernel for the image: scripts/build-kernel builds it (about 10 minutes, once), or set KEYMELD_KERNEL to the file"
}
