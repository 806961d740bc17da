# shellcheck shell=bash
# apt, used carefully: the machine's own archive, and a look into a newer suite of that archive that changes
# nothing in /etc/apt or in apt's own state. Sourced after common.sh; what it sets is for the script that sources it.
# shellcheck disable=SC2034,SC2154

# How long to wait for another package manager, and how often to ask a mirror again.
apt_patience=(-o DPkg::Lock::Timeout=600 -o Acquire::Retries=3)

require_apt() {
    command -v apt-get >/dev/null ||
        die "no apt here: these scripts know Debian 12 and 13; elsewhere install the packages that scripts/lib/packages.list names"
}

# apt_root ARGUMENT...: the machine's apt-get as root, asking nothing.
apt_root() { as_root env DEBIAN_FRONTEND=noninteractive apt-get "${apt_patience[@]}" "$@"; }

# The first source of this machine that is Debian's main archive (not its security archive, not a vendor's): "URI|keyring".
debian_source() {
    # The $(NAME) fields are apt's, not the shell's. apt leaves one that it does not know as it stands.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI)|$(SIGNED_BY)|$(ORIGIN)|$(LABEL)' 'Created-By: Packages' 2>/dev/null |
        awk -F'|' '$3 == "Debian" && $4 == "Debian" && !seen { print $1 "|" $2; seen = 1 }'
}

# find_debian_archive: sets $archive_uri and $archive_keyring, or ends the script and says what to do ($1: the way round).
find_debian_archive() {
    local source
    source=$(debian_source)
    if [ -z "$source" ] && [ -z "${KEYMELD_DEBIAN_ARCHIVE:-}" ]; then
        # Container images ship without package lists, and apt learns an archive's origin from them.
        if [ "$(id -u)" = 0 ]; then
            apt_root -qq update || true
            source=$(debian_source)
        else
            say "apt has no package lists of a Debian archive; 'apt-get update' as root fetches them"
        fi
    fi
    archive_uri=${KEYMELD_DEBIAN_ARCHIVE:-${source%%|*}}
    archive_keyring=${source#*|}
    case $archive_keyring in
    /*) ;;
    *) archive_keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
    esac
    [ -n "$archive_uri" ] ||
        die "no Debian archive among this machine's apt sources, or no network to read its lists: set KEYMELD_DEBIAN_ARCHIVE to the URI of a Debian mirror, or $1"
    [ -r "$archive_keyring" ] ||
        die "no keyring to check the Debian archive with: install the package debian-archive-keyring"
}

# open_suite SUITE [STATUS]: makes $suite_apt, options that let apt see SUITE of the archive and nothing else, with lists
# and cache under $scratch. STATUS is a dpkg status file to use instead of the machine's. False when it cannot be read.
open_suite() {
    local view=$scratch/suite-$1
    mkdir -p "$view/lists/partial" "$view/cache/archives/partial" "$view/log"
    printf 'deb [signed-by=%s] %s %s main\n' "$archive_keyring" "$archive_uri" "$1" >"$view/sources.list"
    suite_archives=$view/cache/archives
    suite_apt=(
        -o "Dir::Etc::SourceList=$view/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null
        -o "Dir::State::Lists=$view/lists" -o "Dir::Cache=$view/cache" -o "Dir::Log=$view/log"
        -o Acquire::Languages=none -o Acquire::Retries=3 -o APT::Update::Error-Mode=any
        -o Debug::NoLocking=1
        # apt's own user may not be able to reach $scratch; what is fetched is checked by signature in any case.
        -o APT::Sandbox::User=root
    )
    [ -z "${2:-}" ] || suite_apt+=(-o "Dir::State=$view" -o "Dir::State::Lists=$view/lists" -o "Dir::State::status=$2")
    apt-get "${suite_apt[@]}" -qq update >"$view/log/update" 2>&1
}

# pretend_nothing_installed NAME...: writes $scratch/status, a dpkg status file of a machine that has only the packages NAME,
# which serve to install others: apt then fetches every library that a program needs.
pretend_nothing_installed() {
    local name
    for name; do
        cat <<STATUS
Package: $name
Status: install ok installed
Architecture: $(dpkg --print-architecture)
Multi-Arch: foreign
Version: 9999
Maintainer: nobody
Description: stands in for a package that is not needed here

STATUS
    done >"$scratch/status"
}

# unpack_archives DIR [TAR-OPTION...]: unpacks the packages that were downloaded for $suite_apt into DIR/root, lists them in
# DIR/PACKAGES, and sets $unpacked_loader and $unpacked_libraries for write_wrapper. False when there is no loader among them.
unpack_archives() {
    local dir=$1 root=$1/root package
    shift
    mkdir -p "$root"
    for package in "$suite_archives"/*.deb; do
        # A folder of one package can be a link in another.
        dpkg-deb --fsys-tarfile "$package" | tar -x -C "$root" --keep-directory-symlink --no-same-owner \
            --wildcards --exclude='./etc/*' --exclude='./var/*' --exclude='*/gconv/*' "$@"
        printf '%s\n' "${package##*/}"
    done >"$dir/PACKAGES"
    # The loader by its real file: its usual name may be a link that leads out of this folder.
    unpacked_loader=$(cd "$root" && find . -type f -name 'ld-linux*.so.*' -printf '%P\n' | head -n 1)
    # shellcheck disable=SC2016  # $root is the wrapper's own
    unpacked_libraries=$(cd "$root" && find . -name '*.so.*' -printf '%h\n' | sort -u | sed 's|^\.|$root|' | paste -sd:)
    [ -n "$unpacked_loader" ]
}

# write_wrapper DIR PROGRAM [LINE [ARGUMENT]]: makes DIR/<name>, which runs DIR/root/PROGRAM by the loader and the libraries
# beside it. LINE is shell text that comes first, ARGUMENT shell text before the caller's arguments; $root is the unpacked folder.
write_wrapper() {
    local wrapper=$1/${2##*/}
    cat >"$wrapper" <<WRAPPER
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/root
${3:-}
exec "\$root/$unpacked_loader" --argv0 "\$0" --library-path "$unpacked_libraries" "\$root/$2" ${4:-} "\$@"
WRAPPER
    chmod 755 "$wrapper"
}
