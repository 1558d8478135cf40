#!/bin/sh
# Makes in DIR a C compiler for another architecture that finds libcrypto: DIR/bin/cross-cc. The
# libcrypto is Debian's, fetched and verified by apt with lists of its own, so that the packages of this
# machine stay as they are.
# usage: cross.sh ARCH DIR
set -eu
cd "$(dirname "$0")/.."
. docker/mirror.sh
arch=$1
case $arch in
amd64) tuple=x86_64-linux-gnu ;;
arm64) tuple=aarch64-linux-gnu ;;
*) echo "cross: error: unknown architecture \"$arch\"; hint: amd64 or arm64" >&2 && exit 2 ;;
esac
mkdir -p "$2"
dir=$(cd "$2" && pwd)
! [ -x "$dir/bin/cross-cc" ] || exit 0

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
find_mirror && [ -e $keyring ] || {
	echo "cross: error: no libcrypto for $arch, for apt has no Debian mirror on this machine;" \
		"hint: build on Debian, or with RSA=go" >&2
	exit 1
}
sh test/setup.sh "cross-$arch"
tree=$dir/tree
rm -rf "$tree"
mkdir -p "$dir/lists/partial" "$dir/archives/partial" "$tree"
(. /etc/os-release && sources "$VERSION_CODENAME" "signed-by=$keyring") >"$dir/sources.list"
: >"$dir/status"
apt() {
	apt-get -q -o "Dir::State=$dir" -o "Dir::State::status=$dir/status" -o "Dir::Cache=$dir" \
		-o "Dir::Etc::sourcelist=$dir/sources.list" -o Dir::Etc::sourceparts=- \
		-o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o APT::Sandbox::User= \
		-o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}
{
	apt update && cd "$dir/archives" && apt download libssl-dev && dpkg-deb -x libssl-dev_*.deb "$tree"
} >"$dir/log" 2>&1 || {
	tail -n 3 "$dir/log" >&2
	echo "cross: error: no libssl-dev for $arch; hint: see $dir/log" >&2
	exit 1
}
dpkg-deb -f "$dir"/archives/libssl-dev_*.deb Version >"$dir/openssl"
rm -rf "$dir/lists" "$dir/archives" "$dir"/*cache.bin

# With the paths in flags of cgo, Go would compile all anew for each clone.
mkdir -p "$dir/bin"
cat >"$dir/bin/cross-cc.new" <<END
#!/bin/sh
tree=\$(dirname "\$0")/../tree/usr
exec $tuple-gcc "\$@" -I"\$tree/include" -I"\$tree/include/$tuple" -L"\$tree/lib/$tuple"
END
chmod +x "$dir/bin/cross-cc.new"
mv "$dir/bin/cross-cc.new" "$dir/bin/cross-cc"
