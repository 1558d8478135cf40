#!/bin/sh
# Runs every fuzz target of the repository for a while each, one for each processor at a time.
# usage: fuzz.sh DURATION
set -eu

# Up to Go 1.26 the end of the time can itself be reported as a failure (go.dev/issue/75804).
# A real one says what failed, or writes down the input.
only_time_ended() {
	[ "$(sed -n '/^--- FAIL/,/^FAIL/p' "$log" | sed '1d;$d')" = '    context deadline exceeded' ]
}

# one runs a target of a test program in the folder of its package, as `go test` does.
one() {
	cd "$3"
	log=$2.$4
	"$2" -test.run '^$' -test.fuzz "^$4\$" -test.fuzztime "$1" -test.fuzzminimizetime 10x -test.parallel 1 -test.fuzzcachedir "$FUZZ_CACHE/$3" >"$log" 2>&1 </dev/null || only_time_ended || {
		cat "$log"
		echo "fuzz: $3 $4${5:+ $5}: FAILED" >&2
		exit 255 # xargs starts no more
	}
	echo "fuzz: $3 $4${5:+ $5}: ok"
}

# make_program PROGRAM PACKAGE [TAG] makes one program for the targets of a package, for that takes
# longer than a short run of them. Only this module's code is made to tell the fuzzer where it goes;
# with -fuzz all code would be, and be compiled anew.
make_program() {
	go test -c -ldflags '-s -w' -gcflags "$(go list -m)/...=-d=libfuzzer" -tags "${3:-}" -o "$1" "$2" </dev/null
}

all() {
	self=$(realpath "$0")
	cd "$(dirname "$self")/.."
	FUZZ_CACHE=$(go env GOCACHE)/fuzz/$(go list -m)
	export FUZZ_CACHE
	programs=$(mktemp -d)
	trap 'rm -rf "$programs"' EXIT
	grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's|/[^/]*:func|:|' | sort >"$programs/targets"
	# shellcheck disable=SC2046 # a list of packages
	sh test/signs.sh $(cut -d: -f1 "$programs/targets" | uniq) | sed "s|^$(go list -m)|.|" >"$programs/signs"
	cut -d: -f1 "$programs/targets" | uniq | while read -r package; do
		for tag in '' $(! grep -qxF "$package" "$programs/signs" || echo openssl); do
			program=$programs/$(echo "$package $tag" | tr -c 'a-z0-9\n' -).test
			echo "$program $package${tag:+ $tag}" >>"$programs/makes"
			sed -n "s|^$package: \(.*\)|$1 $program $package \1${tag:+ $tag}|p" "$programs/targets"
		done
	done >"$programs/runs"
	xargs -P "$(nproc)" -L 1 sh "$self" make <"$programs/makes"
	xargs -P "$(nproc)" -L 1 sh "$self" run <"$programs/runs"
}

case $1 in
make) shift && make_program "$@" ;;
run) shift && one "$@" ;;
*) all "$1" ;;
esac
