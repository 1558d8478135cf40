#!/bin/sh
# Runs every fuzz target of the repository for a while each, one for each processor at a time.
# usage: fuzz.sh DURATION
#        fuzz.sh DURATION PACKAGE TARGET [TAG], for one
set -eu
cd "$(dirname "$0")/.."

# signs PACKAGE: the tag openssl where the tests of the package may sign with libcrypto.
signs() {
	! go list -test -deps "$1" | grep -q '^signpost/keystore/libcrypto$' || echo openssl
}

# Up to Go 1.26 the end of the time can itself be reported as a failure (go.dev/issue/75804).
# A real one says what failed, or writes down the input.
only_time_ended() {
	[ "$(sed -n '/^--- FAIL/,/^FAIL/p' "$log" | sed '1d;$d')" = '    context deadline exceeded' ]
}

if [ $# = 1 ]; then
	grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file target; do
		package=$(dirname "$file")
		[ "$package" = "${last:-}" ] || tag=$(signs "$package")
		last=$package
		echo "$1 $package ${target#func }"
		[ -z "$tag" ] || echo "$1 $package ${target#func } $tag"
	done | xargs -P "$(nproc)" -L 1 sh "$0"
	exit
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
go test -tags "${4:-}" -run '^$' -fuzz "^$3\$" -fuzztime "$1" -parallel 1 "$2" >"$log" 2>&1 </dev/null || only_time_ended || {
	cat "$log"
	echo "fuzz: $2 $3 ${4:-}: FAILED" >&2
	exit 255 # xargs starts no more
}
echo "fuzz: $2 $3 ${4:-}: ok"
