#!/bin/bash
# Runs the tests in parts, and prints what each part took.
# usage: run.sh all|quick GOTESTSUM@VERSION
#
#   all    vet; everything with the race detector and libcrypto; then as pure Go what differs there
#   quick  what needs neither containers nor a Postfix of its own nor a second build
set -euo pipefail
cd "$(dirname "$0")/.."
tool=build/tools/${2##*@}/gotestsum

# part NAME COMMAND...
part() {
	echo "test: $1 ..."
	local begin=$SECONDS
	"${@:2}" || { echo "test: $1: FAILED after $((SECONDS - begin)) s"; exit 1; }
	echo "test: $1: ok, $((SECONDS - begin)) s"
}

# go_test FLAG|PACKAGE...: `go test` prints packages in the order given, so that the longest, which
# are given first, hold back all others. This prints each when it ends, and again at the end what failed.
# A busy machine takes several times as long as an idle one, so a package gets more than the usual ten minutes.
go_test() {
	"$tool" --no-color --format standard-quiet --hide-summary skipped -- -count=1 -timeout 30m "$@" |
		sed -u 's/^=== FAIL: \([^ ]*\) \(.*\)/--- FAIL: \2 in \1/'
}

# The one package with cgo is read where it lies: with -trimpath, vet looks for its file in the clone
# whose compiled code it found in the cache, which may be gone.
vet() {
	go vet ./... && go vet -tags openssl -cgocall=false ./... &&
		GOFLAGS=${GOFLAGS//-trimpath/} go vet -tags openssl -cgocall ./keystore/libcrypto
}

# First with the race detector and libcrypto, the longest first, and more packages at a time than there
# are processors, for much of their time is spent waiting. Of its own accord each program with the race
# detector waits a second at its end.
checked() {
	GORACE=atexit_sleep_ms=50 go_test -vet=off -p $(($(nproc) + 2)) -race -tags openssl \
		./test/system ./test/compose ./test/host ./test/release ./...
}

pure() {
	# shellcheck disable=SC2046 # a list of packages
	go_test -vet=off -p $(($(nproc) + 2)) $(sh test/signs.sh ./... | grep -v /test/)
}

quick() {
	go_test -p $(($(nproc) + 1)) ./cmd/... ./keystore/... ./milter/... ./postfix/... ./test/probe
}

[ -x "$tool" ] || GOBIN=$PWD/${tool%/*} go install "$2"
case $1 in
all)
	[ "${SIGNPOST_NO_CONTAINERS:-}" != 1 ] || echo 'test: CONTAINER TESTS NOT RUN, because SIGNPOST_NO_CONTAINERS=1'
	part vet vet
	part 'with the race detector and libcrypto' checked
	part 'signing as pure Go' pure
	;;
quick)
	part 'unit and command line' quick
	;;
*)
	echo "run.sh: error: unknown part \"$1\"; hint: all or quick" >&2
	exit 2
	;;
esac
