#!/bin/sh
# Runs every fuzz target of the repository for a while each.
# usage: fuzz.sh DURATION
set -eu
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Up to Go 1.26 the end of the time can itself be reported as a failure (go.dev/issue/75804).
# A real one says what failed, or writes down the input.
only_time_ended() {
	[ "$(sed -n '/^--- FAIL/,/^FAIL/p' "$log" | sed '1d;$d')" = '    context deadline exceeded' ]
}

# signs PACKAGE: the tag openssl where the tests of the package may sign with libcrypto.
signs() {
	! go list -test -deps "$1" | grep -q '^signpost/keystore/libcrypto$' || echo openssl
}

grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sort | while IFS=: read -r file target; do
	target=${target#func }
	package=$(dirname "$file")
	for tags in '' $(signs "$package"); do
		go test -tags "$tags" -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$package" >"$log" 2>&1 </dev/null || only_time_ended || {
			cat "$log"
			echo "fuzz: $package $target $tags: FAILED" >&2
			exit 1
		}
		echo "fuzz: $package $target $tags: ok"
	done
done
