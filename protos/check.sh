#!/usr/bin/env bash
# Fails when gen/ (stubs and descriptor set) is not what the protos beside this file generate.
set -euo pipefail
cd "$(dirname "$0")"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
bash generate.sh "$fresh"
if ! diff -r --exclude=__pycache__ "$fresh" gen; then
    echo "protos/gen is stale; run: make protos" >&2
    exit 1
fi
