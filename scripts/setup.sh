#!/usr/bin/env bash
# Brings a fresh clone to where every make target works. Needs python3 (3.11 or newer) and make; the rest it installs,
# or, when not root, names the line to run. Safe to run again: what is there is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

# The distribution's Python is built with profile-guided optimisation: a call costs a quarter less CPU on it than on one
# that was compiled by hand (pyenv), so it comes before whatever PATH names.
python=
for candidate in ${PYTHON:-/usr/bin/python3 python3}; do
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
[[ -n $python ]] || { say "python 3.11 or newer is needed (PYTHON=/path/to/python3 names one)"; exit 1; }

missing=()
need() { # need PACKAGE CHECK...: remember PACKAGE when CHECK fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has_header() { "$python" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))'; }

need python3-venv "$python" -c 'import venv, ensurepip'
need gcc command -v gcc
need libc6-dev test -e /usr/include/stdlib.h
need python3-dev has_header
need libssl-dev test -e /usr/include/openssl/ssl.h
need openssl command -v openssl
need sip-tester command -v sipp
need baresip-core test -e /usr/lib/baresip/modules/ctrl_tcp.so
need mosquitto test -x /usr/sbin/mosquitto
has_postgresql() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb; }
need postgresql has_postgresql
need sox command -v sox

if ((${#missing[@]})); then
  line="apt-get install -y --no-install-recommends ${missing[*]}"
  if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say "installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    if [[ " ${missing[*]} " == *" postgresql "* ]]; then
      # The tests make clusters of their own: the package is not to make and start one for the whole machine.
      apt-get install -y --no-install-recommends -qq postgresql-common >/dev/null
      sed -i -E 's/^#?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    $line -qq >/dev/null
  else
    say "missing: ${missing[*]}. On Debian run, then try again:"
    say "    sudo $line"
    exit 1
  fi
fi

uv=$(command -v uv || true)
if [[ -z $uv ]]; then
  uv=.tools/bin/uv
  if [[ ! -x $uv ]]; then
    say "installing uv into .tools/"
    "$python" -m venv .tools
    .tools/bin/python -m pip install --quiet --disable-pip-version-check uv
  fi
fi

say "installing the locked Python packages into .venv/ and building the media engine"
"$uv" sync --frozen --quiet --compile-bytecode --python "$(command -v "$python")"
touch .venv/.opentas-setup
say "done"
