#!/bin/sh
# Makes a Debian package, and an RPM, of finished programs.
# usage: package.sh ARCH BIN_DIR OUT_DIR
#
# ARCH is amd64 or arm64, BIN_DIR has signpost and signpostd of it. VERSION is as in
# docker/version.sh, MAINTAINER is whoever publishes the packages, and PACKAGERS may leave one of
# deb and rpm out. The same programs make the same package, byte by byte.
set -eu
[ $# = 3 ] || {
	echo "usage: package.sh ARCH BIN_DIR OUT_DIR" >&2
	exit 2
}
arch=$1
bin=$(cd "$2" && pwd)
mkdir -p "$3"
out=$(cd "$3" && pwd)
cd "$(dirname "$0")/../.."
nfpm=github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2
from=docker/debian

for program in signpost signpostd; do
	[ -x "$bin/$program" ] || {
		echo "package: error: $bin has no $program; hint: make build" >&2
		exit 1
	}
done
. docker/version.sh
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-0}
# As Debian and RPM compare versions: 1.2.3~rc1, 1.2.3, 1.2.3+4+gabcdef0123.
version=$(echo "$VERSION" | sed -E 's/-([0-9]+)-g/+\1+g/; s/-dirty/+dirty/; s/-/~/g; s/^[^0-9]/0~&/')
export MAINTAINER="${MAINTAINER:-The Signpost authors <signpost@localhost>}"
nfpm=$(sh test/tool.sh $nfpm)

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
umask 022
files=$stage/files

# The pages and completions are the same everywhere, and made by a companion that runs here.
companion=$bin/signpost
if [ "$arch" != "$(go env GOHOSTARCH)" ]; then
	companion=$stage/signpost
	env -u GOARCH -u GOOS CGO_ENABLED=0 go build -trimpath -buildvcs=false \
		-ldflags "-X main.version=$VERSION" -o "$companion" ./cmd/signpost
fi
print() {
	env -i PATH="$PATH" "$companion" "$@"
}

put() { # put MODE FILE PATH
	install -D -m "$1" "$2" "$files$3"
}
put 755 "$bin/signpost" /usr/bin/signpost
put 755 "$bin/signpostd" /usr/sbin/signpostd
for unit in signpostd.service signpostd.socket; do
	put 644 $from/$unit /usr/lib/systemd/system/$unit
done
put 644 $from/signpost.sysusers /usr/lib/sysusers.d/signpost.conf
put 644 LICENSE /usr/share/doc/signpost/copyright
put 644 $from/README.md /usr/share/doc/signpost/README.md
mkdir -p "$files/usr/share/man/man1" "$files/usr/share/man/man8"
print man --dir "$files/usr/share/man/man1" >/dev/null
print man signpostd >"$files/usr/share/man/man8/signpostd.8"
printf 'signpost (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md in the sources.\n\n -- %s  %s\n' "$version" \
	"$MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" \
	>"$files/usr/share/doc/signpost/changelog"
gzip -9n "$files"/usr/share/man/man?/* "$files/usr/share/doc/signpost/changelog"
completion() {
	mkdir -p "$files${2%/*}"
	print completion "$1" >"$files$2"
}
completion bash /usr/share/bash-completion/completions/signpost
completion zsh /usr/share/zsh/vendor-completions/_signpost
completion fish /usr/share/fish/vendor_completions.d/signpost.fish

mkdir "$stage/conffiles" "$stage/deb" "$stage/rpm"
cp $from/signpostd.default "$stage/conffiles/signpostd"
cp $from/deb/* "$stage/deb"
cp $from/rpm/* "$stage/rpm"
cp $from/nfpm.yaml "$stage"
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

cd "$stage"
for packager in ${PACKAGERS:-deb rpm}; do
	ARCH=$arch VERSION=$version RELEASE="$([ $packager = deb ] || echo 1)" \
		"$nfpm" package --config nfpm.yaml --packager $packager --target "$out/" >/dev/null
done
ls "$out"/signpost[_-]*
