#!/bin/sh
# Builds the programs, static, for ARCH (amd64 or arm64; default: this machine's) into OUT (bin).
# signpostd signs RSA with OpenSSL's libcrypto, three times as fast as Go's crypto/rsa, which it uses
# with RSA=go or where libcrypto is not available. The same sources, compilers and VERSION give the
# same programs, in any folder.
set -eu
cd "$(dirname "$0")/.."
. docker/version.sh
host=$(go env GOHOSTARCH)
arch=${ARCH:-$host}
out=${OUT:-bin}
mkdir -p "$out" build
ldflags="-s -w -buildid= -X 'main.version=$version_text'"
export GOOS=linux GOARCH="$arch"

build() {
	go build -trimpath -buildvcs=false "$@"
}

# A compiler and libcrypto for the architecture.
compiler() {
	if [ "$arch" = "$host" ]; then
		sh test/setup.sh build
	else
		cross=$(realpath -sm "${CROSS:-build/cross}")/$arch
		sh docker/cross.sh "$arch" "$cross" && export PATH="$cross/bin:$PATH" CC=cross-cc
	fi
}

# The linker warns of C library functions that need its shared files. libcrypto uses them for
# engines and sockets, which signpostd does not use.
with_libcrypto() {
	CGO_ENABLED=1 build -tags openssl,netgo,osusergo,urfave_cli_no_docs -o "$out/signpostd" \
		-ldflags "$ldflags -linkmode external -extldflags '-static'" ./cmd/signpostd 2>"build/libcrypto-$arch.log"
}

CGO_ENABLED=0 build -ldflags "$ldflags" -o "$out/" ./cmd/signpost
[ "$out" != bin ] || CGO_ENABLED=0 build -ldflags "$ldflags" -o build/probe ./test/probe
[ "${RSA:-}" = go ] || {
	compiler && with_libcrypto && exit
	echo "build: warning: no libcrypto for $arch, so RSA signatures take three times as long;" \
		"hint: see build/setup.log and build/libcrypto-$arch.log" >&2
}
CGO_ENABLED=0 build -tags urfave_cli_no_docs -ldflags "$ldflags" -o "$out/signpostd" ./cmd/signpostd
