#!/usr/bin/env bash
# Proves the README's two commands on a machine that knows nothing of us: clones HEAD, and in an
# empty environment with an empty home runs `make demo ARGS=--no-serve` and `make test`, once with
# HONEYGUIDE_DATA and once without. Prints the closing lines and the times; exit status 1 if any
# step failed. To commit its log:  tests/fresh_clone.sh | tee tests/fresh_clone.log
set -uo pipefail

repository="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
data="${HONEYGUIDE_DATA:-$repository/../shared/data}"
if [[ ! -d $data ]]; then
    echo "There is no data folder at $data." >&2
    echo "Set HONEYGUIDE_DATA to the folder that holds the data sets." >&2
    exit 2
fi
data="$(cd "$data" && pwd)"
closing=1 # lines kept of each step: the tables of real data sets do not belong into a published log
failed=0

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Which registry pip asks, and by which certificate, is the set-up of the machine and not of the
# project, so it is taken along: what pip finds in the caller's home and PIP_* variables is written
# where pip looks in the empty home. Nothing else of the caller's environment gets through.
copy_pip_settings() { # HOME
    python3 -m venv "$work/pip" >/dev/null || return 1
    mkdir -p "$1/.config/pip"
    "$work/pip/bin/pip" --disable-pip-version-check config list |
        python3 -c '
import ast, configparser, sys

settings = configparser.RawConfigParser()
for line in sys.stdin:
    name, _, value = line.rstrip("\n").partition("=")
    section, _, key = name.rpartition(".")
    section = "global" if section == ":env:" else section
    if not settings.has_section(section):
        settings.add_section(section)
    value = ast.literal_eval(value)
    if key in ("extra-index-url", "find-links", "trusted-host"):
        # A list stands between blanks in a variable, and one to a line in a file.
        value = "\n".join(["", *value.split()])
    settings.set(section, key, value)
settings.write(sys.stdout)
' >"$1/.config/pip/pip.conf"
}

# The log is read elsewhere: no folder of this machine may stand in it.
without_local_paths() {
    sed -e "s#$work#\$WORK#g" -e "s#$data#\$HONEYGUIDE_DATA#g" -e "s#$repository#\$REPOSITORY#g"
}

step() { # TITLE FOLDER HOME [NAME=VALUE...] -- COMMAND...
    local title="$1" folder="$2" home="$3" variables=()
    shift 3
    while [[ $1 != -- ]]; do variables+=("$1"); shift; done
    shift
    local began=$SECONDS status=0
    (cd "$folder" && env -i HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin \
        "${variables[@]}" "$@") >"$work/output" 2>&1 </dev/null || status=$?
    echo
    echo "== $title: $*"
    tail -n "$closing" "$work/output" | without_local_paths
    echo "== exit status $status after $((SECONDS - began)) s"
    ((status == 0)) || failed=1
}

round() { # TITLE [NAME=VALUE...]
    local title="$1" clone home
    shift
    clone="$(mktemp -d "$work/clone.XXXX")"
    home="$(mktemp -d "$work/home.XXXX")"
    git clone --quiet --no-hardlinks "$repository" "$clone" || exit 2
    copy_pip_settings "$home" || exit 2
    step "$title" "$clone" "$home" "$@" -- make demo ARGS=--no-serve
    step "$title" "$clone" "$home" "$@" -- make test
    rm -rf "$clone" "$home"
}

echo "commit $(git -C "$repository" rev-parse HEAD)"
echo "date   $(date -u +%Y-%m-%dT%H:%MZ)"
echo "system $(. /etc/os-release && echo "$PRETTY_NAME"), $(PATH=/usr/local/bin:/usr/bin:/bin python3 --version), $(nproc) cores"
round "with data" HONEYGUIDE_DATA="$data"
round "without data"
echo
if ((failed)); then echo "FAILED"; else echo "PASSED"; fi
exit "$failed"
