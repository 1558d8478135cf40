#!/bin/sh
# Makes a release in OUT (build/release): for each architecture of ARCHS (amd64 arm64) an archive with the
# programs, packages, images, and lists of what is linked (SBOM); then contents.txt, which says what was
# made with what and what was not, and SHA256SUMS. From the same commit and the same compilers come the
# same files, in any folder; but an image signpost-postfix has what Debian has on that day.
#
#   PARTS   which of "archives packages images postfix sbom" to make (all)
#   RSA=go  signpostd without libcrypto
#
# usage: release.sh CYCLONEDX_GOMOD@VERSION
set -eu
cd "$(dirname "$0")/.."
. docker/version.sh
. docker/release-image.sh
umask 022
export LC_ALL=C TZ=UTC GOAMD64=v1 GOARM64=v8.0 # which is for every processor
out=${OUT:-build/release}
archs=${ARCHS:-amd64 arm64}
parts=${PARTS:-archives packages images postfix sbom}
native=$(go env GOHOSTARCH)
stage=build/stage

fail() {
	echo "release: error: $*" >&2
	exit 1
}

note() {
	echo "release: $*"
	echo "$*" >>$stage/contents.txt
}

has() {
	case " $parts " in *" $1 "*) ;; *) return 1 ;; esac
}

# changes: the section of this version in CHANGELOG.md.
changes() {
	awk -v heading="## [$VERSION]" 'index($0, "## ") == 1 { on = index($0, heading) == 1; next } on' CHANGELOG.md
}

with_libcrypto() {
	go version -m "$stage/$1/signpostd" | grep -q 'tags=openssl'
}

programs() {
	ARCH=$1 OUT=$stage/$1 sh docker/binaries.sh
	if with_libcrypto "$1"; then
		note "$1: signpostd signs RSA with libcrypto: $(linked "$1" | tr '\n' ' ')"
	else
		note "$1: signpostd is pure Go, WITHOUT LIBCRYPTO: RSA signatures take three times as long"
	fi
}

# linked ARCH: what is linked into signpostd beside Go, as PACKAGE VERSION.
linked() {
	if [ "$1" = "$native" ]; then
		dpkg-query -W -f '${Package} ${Version}\n' libssl-dev libc6-dev
	else
		echo "libssl-dev $(cat "${CROSS:-build/cross}/$1/openssl")"
		dpkg-query -W -f '${Package} ${Version}\n' "libc6-dev-$1-cross"
	fi
}

# Pages and completions, which are made by a companion that runs here.
documents() {
	companion=$stage/$native/signpost
	if [ ! -x $companion ]; then
		CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X 'main.version=$version_text'" \
			-o $companion ./cmd/signpost
	fi
	mkdir -p $stage/doc/completions
	print man --dir $stage/doc/man >/dev/null
	print man signpostd >$stage/doc/man/signpostd.8
	for shell in bash zsh fish; do
		print completion $shell >$stage/doc/completions/signpost.$shell
	done
	cp README.md CHANGELOG.md LICENSE $stage/doc
}

# The pages tell of settings in the environment, and whoever makes a release may have some.
print() {
	env -i PATH="$PATH" $companion "$@"
}

archives() {
	folder=signpost_${VERSION}_linux_$1
	mkdir "$stage/$folder"
	cp -r $stage/doc/. $stage/"$1"/signpost $stage/"$1"/signpostd "$stage/$folder"
	chmod -R u=rwX,go=rX "$stage/$folder"
	tar -C $stage --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
		--mtime="@$SOURCE_DATE_EPOCH" -c "$folder" | gzip -n >"$out/$folder.tar.gz"
}

packages() {
	sh docker/debian/package.sh "$1" $stage/"$1" "$out" >/dev/null
	# The ~ before rc1 in a version: GitHub takes it out of the name, and SHA256SUMS would have another.
	for file in "$out"/*~*; do
		[ ! -e "$file" ] || mv "$file" "$out/$(basename "$file" | tr '~' -)"
	done
}

# Each program has a list of its Go modules, and signpostd of what C is in it too.
sbom() {
	for program in signpost signpostd; do
		list=$stage/$program.json
		GOARCH=$1 "$cyclonedx" bin -json -std -noserial -notimestamp -version "v$VERSION" -output $list \
			$stage/"$1"/$program 2>$stage/sbom.log || { cat $stage/sbom.log >&2; fail "listing what is in $program"; }
		: >$stage/linked
		[ $program = signpost ] || ! with_libcrypto "$1" || linked "$1" >$stage/linked
		jq --rawfile linked $stage/linked --arg arch "$1" '
			.metadata.component["bom-ref"] as $main |
			[$linked | split("\n")[] | select(. != "") | split(" ") | {
				type: "library", name: .[0], version: .[1], scope: "required",
				"bom-ref": "pkg:deb/debian/\(.[0])@\(.[1])?arch=\($arch)",
				purl: "pkg:deb/debian/\(.[0])@\(.[1])?arch=\($arch)"
			}] as $packages |
			del(.metadata.tools[].hashes) | # how the tool was compiled
			.components += $packages |
			(.dependencies[] | select(.ref == $main) | .dependsOn) += [$packages[].purl]
		' $list >"$out/${program}_${VERSION}_linux_$1.cdx.json"
	done
}

[ -n "$REVISION" ] && [ -n "$SOURCE_DATE_EPOCH" ] ||
	fail "the commit is not known; hint: use a clone, or set VERSION, REVISION and SOURCE_DATE_EPOCH"
uncommitted=$(git status --porcelain 2>/dev/null || :)
case $VERSION in
*-*) [ -z "$uncommitted" ] || echo "release: warning: the working tree has changes that are in no commit" >&2 ;;
*)
	[ -z "$uncommitted" ] || fail "the working tree has changes that are in no commit; hint: git status names them"
	[ -n "$(changes)" ] || fail "CHANGELOG.md has no section [$VERSION]; hint: say there what changes for users"
	;;
esac
! { has images || has postfix || has sbom; } || sh test/setup.sh release
! has sbom || cyclonedx=$(sh test/tool.sh "$1")

rm -rf "$out" $stage
mkdir -p "$out" $stage
note "signpost $version_text, $(go env GOVERSION)"
for arch in $archs; do programs "$arch"; done
[ "$(grep -o 'libssl-dev [^ ]*' $stage/contents.txt | sort -u | wc -l)" -le 1 ] ||
	echo "release: warning: not the same OpenSSL for all;" \
		"hint: apt-get update && apt-get install libssl-dev, and rm -r build/cross" >&2
documents
for part in $parts; do
	for arch in $archs; do $part "$arch"; done
done
cp $stage/contents.txt "$out"
changes >build/release-notes.md
(cd "$out" && sha256sum -- * >SHA256SUMS)
clean_storage
rm -rf $stage
echo "release: $(ls "$out" | wc -l) files in $out"
