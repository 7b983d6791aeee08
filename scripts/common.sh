# Shared by the scripts beside it: where things are, and how a missing package is installed. Sourced, not run.
# shellcheck shell=bash
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${STARGATE_CACHE:-${XDG_CACHE_HOME:-${HOME:-/var}/.cache}/stargate}

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
die() { say "$*"; exit 1; }

# need_packages PACKAGE…: installs those that are missing, with sudo where we are not root.
need_packages() {
  local missing=() package as_root=()
  for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "these packages are missing, and there is no apt-get to install them: ${missing[*]}"
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "run this as root, or install these packages first: ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing ${missing[*]}"
  local log; log=$(mktemp)
  { "${as_root[@]}" apt-get update -q && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 \
    || { tail -n 20 "$log" >&2; die "apt-get could not install: ${missing[*]}"; }
  rm -f "$log"
}
