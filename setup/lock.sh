#!/usr/bin/env bash
# Writes constraints.txt: the exact version of every package that the environment of the python $1 holds.
set -euo pipefail
cd "$(dirname "$0")/.."
{
    echo "# Exact versions of what the tests ran with; written by \`make lock\`."
    # A local version such as 2.13.0+cpu exists on one index only; without it every build of 2.13.0 fits.
    "$1" -m pip freeze --exclude-editable --exclude voxline --exclude uv | sed -E 's/^([^=]+==[^+]+)\+.*/\1/' | grep -E '^[^=]+==[^=]+$'
} > constraints.txt.new
mv constraints.txt.new constraints.txt
