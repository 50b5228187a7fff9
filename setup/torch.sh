#!/usr/bin/env bash
# Installs the torch of constraints.txt into the environment of the python $1. A Linux machine without an NVIDIA GPU
# gets the CPU build and never downloads CUDA: from the indexes that pip is configured with, or else by uv, which knows
# where PyTorch keeps it.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$1
version=$(sed -n 's/^torch==//p' constraints.txt)
uv=uv==0.13.8

installed() {
    "$python" -c "import importlib.metadata as m, sys; sys.exit(m.version('torch').split('+')[0] != '$version')" 2>/dev/null
}

wants_cpu_build() {
    [ "$(uname -s)" = Linux ] && [ ! -e /dev/nvidia0 ] && ! command -v nvidia-smi >/dev/null
}

pip_install() {
    "$python" -m pip install -qq --no-compile --disable-pip-version-check "$@"
}

if installed; then
    exit 0
elif ! wants_cpu_build; then
    pip_install --constraint constraints.txt "torch==$version"
elif ! pip_install --constraint constraints.txt "torch==$version+cpu" 2>/dev/null; then
    pip_install "$uv"
    "$python" -m uv pip install --quiet --python "$python" --constraint constraints.txt \
        --torch-backend cpu "torch==$version"
fi
