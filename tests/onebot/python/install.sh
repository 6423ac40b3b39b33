#!/usr/bin/env bash
# Makes the Python environment that the OneBot tests calibrate against, in the given folder. A
# second call does nothing; several at once wait for each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:?usage: install.sh FOLDER}
venv=$target/venv-onebot

mkdir -p "$target"
if command -v flock >/dev/null; then
  exec 9>"$target/venv-onebot.lock"
  flock 9
fi
wanted=$(cksum <"$here/requirements.txt")
if [[ -f $venv/made && $(<"$venv/made") == "$wanted" ]]; then
  exit 0
fi
if ! python=$(command -v python3.11 || command -v python3); then
  echo 'python3 is missing; install Python 3.11 or later' >&2
  exit 1
fi
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
  --requirement "$here/requirements.txt"
printf '%s\n' "$wanted" >"$venv/made"
