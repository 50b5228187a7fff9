#!/usr/bin/env bash
# Writes the stubs and the descriptor set (for Envoy's transcoder) into $1, from the protos beside this file.
set -euo pipefail
mkdir -p "$1"
out=$(realpath "$1")
cd "$(dirname "$0")"
include=$(python -P -c "import google.rpc, os; print(os.path.dirname(os.path.dirname(list(google.rpc.__path__)[0])))")
python -P -m grpc_tools.protoc -I. -I"$include" --python_out="$out" --grpc_python_out="$out" --mypy_out="quiet:$out" \
    --mypy_grpc_out="quiet:$out" voxline/v1/*.proto voxline/stages/v1/*.proto
python -P -m grpc_tools.protoc -I. -I"$include" --include_imports --descriptor_set_out="$out/voxline.pb" \
    voxline/v1/*.proto google/rpc/status.proto google/rpc/error_details.proto
touch "$out"/voxline/{,v1/,stages/,stages/v1/}__init__.py
