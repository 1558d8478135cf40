#!/bin/sh
# Builds the programs, static. signpostd signs RSA with OpenSSL's libcrypto, three times as fast
# as Go's crypto/rsa, which it uses with RSA=go or where libcrypto is not available.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin build
ldflags="-s -w -X main.version=${VERSION:-dev}"

build() {
	go build -trimpath -buildvcs=false "$@"
}

# The linker warns of C library functions that need its shared files. libcrypto uses them for
# engines and sockets, which signpostd does not use.
with_libcrypto() {
	CGO_ENABLED=1 build -tags openssl,netgo,osusergo,urfave_cli_no_docs -o bin/signpostd \
		-ldflags "$ldflags -linkmode external -extldflags '-static'" ./cmd/signpostd 2>build/libcrypto.log
}

CGO_ENABLED=0 build -ldflags "$ldflags" -o bin/ ./cmd/signpost
CGO_ENABLED=0 build -ldflags "$ldflags" -o build/probe ./test/probe
[ "${RSA:-}" = go ] || {
	sh test/setup.sh build && with_libcrypto && exit
	echo "build: warning: no libcrypto, so RSA signatures take three times as long; hint: see build/setup.log and build/libcrypto.log" >&2
}
CGO_ENABLED=0 build -tags urfave_cli_no_docs -ldflags "$ldflags" -o bin/signpostd ./cmd/signpostd
