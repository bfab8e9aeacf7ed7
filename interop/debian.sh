# Sourced by the `run` of clients whose language or library comes from the operating system's packages.

# Says that the client cannot be had on this machine, in the words the matrix shows.
unavailable() {
    echo "unavailable: $1"
    exit 77
}

# retry COMMAND...: runs it up to four times, for what the network may spoil.
retry() {
    local pause
    for pause in 5 15 30; do
        "$@" && return
        echo "failed, again in $pause s: $*" >&2
        sleep "$pause"
    done
    "$@"
}

# need CHECK PACKAGE...: when the command CHECK fails, the Debian packages are installed, and it has to succeed.
need() {
    local check=$1
    shift
    if eval "$check" >/dev/null 2>&1; then
        return
    fi
    if ! command -v apt-get >/dev/null; then
        unavailable "needs what Debian has in: $*"
    fi
    if [ "$(id -u)" != 0 ]; then
        unavailable "not installed, and we are not root: apt-get install $*"
    fi
    apt_get update || true # an old list may still do
    if ! retry apt_get install --yes --no-install-recommends "$@"; then
        unavailable "apt-get cannot install: $*"
    fi
    if ! eval "$check" >/dev/null 2>&1; then
        unavailable "still missing after the installation of: $*"
    fi
}

# Others may install at the same time.
apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get --option DPkg::Lock::Timeout=300 --option Acquire::Retries=5 "$@" >&2
}

# The version of a Debian package, without Debian's own part: 1.5.0-2 is 1.5.0.
package_version() {
    local version
    version=$(dpkg-query --show --showformat='${Version}' "$1")
    version=${version#*:}
    echo "${version%%[-+~]*}"
}
