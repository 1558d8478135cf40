#!/bin/sh
# Runs every fuzz target of the repository for a while each, one for each processor at a time.
# usage: fuzz.sh DURATION
#        fuzz.sh DURATION PROGRAM PACKAGE TARGET [TAG], for one
set -eu

# signs PACKAGE: the tag openssl where the tests of the package may sign with libcrypto.
signs() {
	! go list -test -deps "$1" | grep -q '^signpost/keystore/libcrypto$' || echo openssl
}

# Up to Go 1.26 the end of the time can itself be reported as a failure (go.dev/issue/75804).
# A real one says what failed, or writes down the input.
only_time_ended() {
	[ "$(sed -n '/^--- FAIL/,/^FAIL/p' "$log" | sed '1d;$d')" = '    context deadline exceeded' ]
}

# one runs a target of a test program in the folder of its package, as `go test` does.
one() {
	cd "$3"
	log=$2.$4
	"$2" -test.run '^$' -test.fuzz "^$4\$" -test.fuzztime "$1" -test.parallel 1 -test.fuzzcachedir "$FUZZ_CACHE/$3" >"$log" 2>&1 </dev/null || only_time_ended || {
		cat "$log"
		echo "fuzz: $3 $4${5:+ $5}: FAILED" >&2
		exit 255 # xargs starts no more
	}
	echo "fuzz: $3 $4${5:+ $5}: ok"
}

# all makes one program for the targets of a package, for that takes longer than a short run of them.
# Only this module's code is made to tell the fuzzer where it goes; with -fuzz all code would be, and be compiled anew.
all() {
	self=$(realpath "$0")
	cd "$(dirname "$self")/.."
	module=$(go list -m)
	FUZZ_CACHE=$(go env GOCACHE)/fuzz/$module
	export FUZZ_CACHE
	programs=$(mktemp -d)
	trap 'rm -rf "$programs"' EXIT
	grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func|:|' | sort >"$programs/targets"
	cut -d: -f1 "$programs/targets" | uniq | while read -r package; do
		for tag in '' $(signs "$package"); do
			program=$programs/$(echo "$package $tag" | tr -c 'a-z0-9\n' -).test
			go test -c -gcflags "$module/...=-d=libfuzzer" -tags "$tag" -o "$program" "$package" </dev/null
			sed -n "s|^$package: \(.*\)|$1 $program $package \1${tag:+ $tag}|p" "$programs/targets"
		done
	done >"$programs/runs"
	xargs -P "$(nproc)" -L 1 sh "$self" <"$programs/runs"
}

if [ $# = 1 ]; then all "$1"; else one "$@"; fi
