#!/usr/bin/env bash
# What `make test-all` needs of the system, installed where Debian's apt-get can: a screen for windows, and a browser.
set -euo pipefail

missing=()
command -v xvfb-run > /dev/null || missing+=(xvfb xauth)
command -v chromium > /dev/null || missing+=(chromium)
libraries=$(ldconfig -p 2> /dev/null || true)
for pair in libEGL.so.1:libegl1 libGL.so.1:libgl1 libxkbcommon.so.0:libxkbcommon0 libdbus-1.so.3:libdbus-1-3 \
    libxcb-cursor.so.0:libxcb-cursor0; do
    grep -q "${pair%%:*}" <<< "$libraries" || missing+=("${pair##*:}")
done
"${1:-python3}" -c 'import tkinter' 2> /dev/null || missing+=(python3-tk)

[ ${#missing[@]} -eq 0 ] && exit 0
root=()
[ "$(id -u)" -eq 0 ] || root=(sudo -n)
if command -v apt-get > /dev/null; then
    echo "installing ${missing[*]} ..."
    "${root[@]}" apt-get update -qq > /dev/null 2>&1 || true
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq "${missing[@]}" > /dev/null && exit 0
fi
echo "make test-all needs packages of the system that it can't install: ${missing[*]}" >&2
exit 1
