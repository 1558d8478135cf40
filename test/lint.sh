#!/bin/sh
# Runs every checker; fails if one of them finds something.
# usage: lint.sh STATICCHECK@VERSION GOVULNCHECK@VERSION ACTIONLINT@VERSION
set -eu
cd "$(dirname "$0")/.."
status=0

# check NAME COMMAND...: exit code 3 means that the checker could not find out.
check() {
	name=$1
	shift
	code=0
	"$@" || code=$?
	case $code in
	0) echo "lint: $name: ok" ;;
	3) echo "lint: $name: NOT RUN" ;;
	*) echo "lint: $name: FAILED" && status=1 ;;
	esac
}

formatted() {
	unformatted=$(find . -name '*.go' -not -path './build/*' -exec gofmt -l {} +)
	[ -z "$unformatted" ] || { echo "$unformatted"; false; }
}

scripts_parse() {
	for script in .ci/run $(find docker test -name '*.sh') docker/postfix-start docker/postfix-health \
		docker/signpostd-run docker/signpostd-user docker/debian/deb/* docker/debian/rpm/*; do
		case $(head -n 1 "$script") in
		*bash) bash -n "$script" || return 1 ;;
		*) sh -n "$script" || return 1 ;;
		esac
	done
}

# What is known to be wrong with our libraries. The list is on the network: where it
# cannot be reached nothing is known, and that is no finding.
no_vulnerabilities() {
	"$tool" ./... >build/govulncheck.log 2>&1 && return
	grep -v '^$' build/govulncheck.log
	! grep -q 'fetching vulnerabilities' build/govulncheck.log || return 3
	return 1
}

mkdir -p build
check gofmt formatted
check 'go vet' go vet ./...
tool=$(sh test/tool.sh "$1")
check staticcheck "$tool" ./...
check 'staticcheck with libcrypto' "$tool" -tags openssl ./...
tool=$(sh test/tool.sh "$2")
check govulncheck no_vulnerabilities
check 'shell syntax' scripts_parse
tool=$(sh test/tool.sh "$3")
check actionlint "$tool" .github/workflows/*.yaml
exit $status
