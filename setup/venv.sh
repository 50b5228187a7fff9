#!/usr/bin/env bash
# Makes the virtual environment $2 with the interpreter $1, or says why it cannot.
set -euo pipefail
python=$1
venv=$2
if [ -x "$venv/bin/pip" ]; then
    exit 0
elif ! command -v "$python" >/dev/null; then
    echo "Voxline needs Python 3.11 or newer, and there is no '$python' here. Try: make PYTHON=/path/to/python3 run" >&2
    exit 1
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "Voxline needs Python 3.11 or newer; '$python' is $("$python" -V 2>&1). Try: make PYTHON=python3.12 run" >&2
    exit 1
elif ! "$python" -m venv "$venv"; then
    rm -rf "$venv"
    echo "Making a virtual environment failed. On Debian and Ubuntu: sudo apt-get install python3-venv" >&2
    exit 1
fi
