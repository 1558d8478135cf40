#!/bin/sh
# Makes the base image, debian:bookworm-slim, when it is missing and no registry has it: from
# Debian's packages, through the mirror that apt uses on this machine.
set -eu
cd "$(dirname "$0")/.."
base=debian:bookworm-slim
tree=build/base
log=build/base.log

. docker/engine.sh
. docker/mirror.sh
find_engine
! "$docker" image inspect $base >/dev/null 2>&1 || exit 0
mkdir -p build
echo "base image: pulling $base"
! timeout 120 "$docker" pull -q $base >$log 2>&1 || exit 0

echo "base image: cannot pull it, building it with debootstrap"
sh test/setup.sh base
root=
[ "$(id -u)" = 0 ] || root="sudo"

find_mirror || $root apt-get update >>$log 2>&1
find_mirror || {
	echo "base image: error: apt has no Debian mirror; hint: pull the image yourself: docker pull $base" >&2
	exit 1
}

$root rm -rf $tree
$root env PATH="$PATH:/usr/sbin:/sbin" debootstrap --variant=minbase bookworm $tree "$mirror" >>$log 2>&1 || {
	tail -n 5 $log >&2
	echo "base image: error: debootstrap failed; hint: see $log" >&2
	exit 1
}
sources bookworm | $root tee $tree/etc/apt/sources.list >/dev/null
# The slim image leaves these out too.
$root tar -C $tree --exclude='./var/cache/apt/*' --exclude='./var/lib/apt/lists/*' \
	--exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' --exclude='./usr/share/locale/*' -c . |
	"$docker" import -c 'CMD ["bash"]' - $base >>$log
$root rm -rf $tree
