#!/bin/sh
# Builds the programs, static. signpostd signs RSA with OpenSSL's libcrypto, at three times the
# speed, where that can be had; with RSA=go, or where it cannot, with Go's own crypto/rsa.
set -eu
cd "$(dirname "$0")/.."
mkdir -p bin build
ldflags="-s -w -X main.version=${VERSION:-dev}"

build() {
	go build -trimpath -buildvcs=false "$@"
}

# The linker warns of functions of the C library that want its shared files, which libcrypto has
# for its engines and sockets. Nothing here reaches them.
with_libcrypto() {
	CGO_ENABLED=1 build -tags openssl,netgo,osusergo,urfave_cli_no_docs -o bin/signpostd \
		-ldflags "$ldflags -linkmode external -extldflags '-static'" ./cmd/signpostd 2>build/libcrypto.log
}

CGO_ENABLED=0 build -ldflags "$ldflags" -o bin/ ./cmd/signpost
CGO_ENABLED=0 build -ldflags "$ldflags" -o build/probe ./test/probe
[ "${RSA:-}" = go ] || {
	sh test/setup.sh build && with_libcrypto && exit
	echo "build: without libcrypto, so RSA signatures take three times as long; hint: see build/setup.log and build/libcrypto.log" >&2
}
CGO_ENABLED=0 build -tags urfave_cli_no_docs -ldflags "$ldflags" -o bin/signpostd ./cmd/signpostd
