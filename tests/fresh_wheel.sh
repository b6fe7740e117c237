#!/usr/bin/env bash
# Proves that the built wheel works without the repository: builds it, installs it with the
# constraints into an empty environment, and runs the README's five lines and two commands there.
set -euo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

python3 -m venv "$work/build"
"$work/build/bin/pip" install -q --disable-pip-version-check build
git -C "$repository" archive HEAD | tar -x --one-top-level="$work/source"
"$work/build/bin/python" -m build --wheel --outdir "$work/dist" "$work/source" >/dev/null

python3 -m venv "$work/clean"
"$work/clean/bin/pip" install -q --disable-pip-version-check \
    -c "$repository/constraints.txt" "$work"/dist/*.whl
cd "$work"
# the first Python block of the README is the five lines
awk '/^```python/{on=1; next} /^```/{if (on) exit} on' "$repository/README.md" >five_lines.py
env -u PYTHONPATH "$work/clean/bin/python" five_lines.py
"$work/clean/bin/honeyguide" recommend my-recommender --user u00001 -k 3
"$work/clean/bin/honeyguide" doctor
echo "The wheel works: $(basename "$work"/dist/*.whl)"
