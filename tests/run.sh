#!/usr/bin/env bash
# Everything that must hold before a change goes in. Needs the toolchain of rustup, Python 3.11 or
# later, Node.js 20 or later, PostgreSQL 14 or later (installed here by root, where there is apt) and,
# the first time, a way to crates.io, PyPI and npm; no other network, no terminal.
set -euo pipefail
cd "$(dirname "$0")/.."

# Measured on two cores with the rest of this script: about four minutes, once.
readonly DENY_VERSION=0.20.2
readonly TOOLS=target/tools
# Long enough for a slow line; a machine without a network says no at once.
readonly ADVISORIES_S=30

began=$SECONDS
current=''

step() {
  current=$1
  printf '\n== %s (%d s)\n' "$1" $((SECONDS - began))
}

finish() {
  local code=$?
  if ((code == 0)); then
    printf '\n== all well (%d s)\n' $((SECONDS - began))
  else
    printf '\n== FAILED at: %s (%d s)\n' "$current" $((SECONDS - began)) >&2
  fi
}
trap finish EXIT

step 'format: cargo fmt --check'
cargo fmt --check

step 'lint: cargo clippy'
# As it ships, and with everything that tests plant in it.
cargo clippy --locked -- -D warnings
cargo clippy --locked --workspace --all-targets --features planted -- -D warnings

step 'documentation: cargo doc'
RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps

step 'licences, bans and sources: cargo deny'
if command -v cargo-deny >/dev/null; then
  deny=cargo-deny
else
  deny=$TOOLS/bin/cargo-deny
  if [[ ! -x $deny ]]; then
    echo "cargo-deny is missing; building $DENY_VERSION into $TOOLS, about four minutes on two cores"
    cargo install --locked --quiet --root "$TOOLS" --version "$DENY_VERSION" cargo-deny
  fi
fi
"$deny" --locked check --hide-inclusion-graph bans licenses sources

step 'advisories: cargo deny'
# The database is a git repository; without a network there is nothing to compare with. Only a
# finding may fail here, so the database is fetched first and judged apart.
export GIT_TERMINAL_PROMPT=0
if fetched=$(timeout "$ADVISORIES_S" "$deny" --locked fetch db 2>&1 </dev/null); then
  "$deny" --locked check --hide-inclusion-graph --disable-fetch advisories
else
  reason=$(grep -m1 -E 'fatal|error|ERROR' <<<"$fetched" || echo "no answer within $ADVISORIES_S s")
  echo "SKIPPED: the advisory database could not be fetched: $reason"
fi

step 'PostgreSQL: the second database that the store is tested over'
# The tests start a server of their own in a temporary folder; only its programs must be there.
find_postgres() {
  local folder
  for folder in ${PATH//:/ } /usr/lib/postgresql/*/bin; do
    [[ -x $folder/initdb && -x $folder/pg_ctl && -x $folder/createdb ]] && return 0
  done
  return 1
}
if ! find_postgres; then
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends postgresql
  fi
  if ! find_postgres; then
    echo 'PostgreSQL is not installed and cannot be installed from here; install the package' >&2
    echo '`postgresql` of your system (initdb, pg_ctl and createdb on the PATH)' >&2
    exit 1
  fi
fi

step 'peers: Python programs that OneBot is tested against'
# The tests make this themselves where it is missing; here it fails under its own name.
bash tests/onebot/python/install.sh "${CARGO_TARGET_DIR:-target}"

step 'peers: a simulated Discord of others, from npm'
bash tests/discord/twin/install.sh "${CARGO_TARGET_DIR:-target}"

step 'tests: cargo test'
mkdir -p target
log=target/tests.log
# Without --no-fail-fast one failure would hide the others.
cargo test --locked --workspace --features planted --no-fail-fast 2>&1 | tee "$log"
if left_out=$(grep -E '^test .* \.\.\. ignored' "$log"); then
  printf 'no test may be left out:\n%s\n' "$left_out" >&2
  exit 1
fi

step 'transcripts: qundao test'
cargo run --locked --quiet -- test </dev/null
