#!/usr/bin/env bash
# Installs the simulated Discord that others wrote, which the tests calibrate against, in the given
# folder. A second call does nothing; several at once wait for each other.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${1:?usage: install.sh FOLDER}
twin=$target/twin-discord

mkdir -p "$target"
if command -v flock >/dev/null; then
  exec 9>"$target/twin-discord.lock"
  flock 9
fi
wanted=$(cat "$here/package.json" "$here/package-lock.json" "$here/peer.mjs" | cksum)
if [[ -f $twin/made && $(<"$twin/made") == "$wanted" ]]; then
  exit 0
fi
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo 'node or npm is missing; install Node.js 20 or later' >&2
  exit 1
fi
rm -rf "$twin"
mkdir -p "$twin"
cp "$here/package.json" "$here/package-lock.json" "$here/peer.mjs" "$twin/"
(cd "$twin" && npm ci --ignore-scripts --no-audit --no-fund --silent)
printf '%s\n' "$wanted" >"$twin/made"
