#!/bin/sh
# Pushes the images of a release to a registry, each for all its architectures under one name, and a
# version like 1.2.3 as latest too. Log in first: buildah login REGISTRY.
# usage: push.sh REGISTRY/OWNER [RELEASE_DIR]
set -eu
[ $# -ge 1 ] || {
	echo "usage: push.sh REGISTRY/OWNER [RELEASE_DIR]" >&2
	exit 2
}
dir=$(cd "${2:-$(dirname "$0")/../build/release}" && pwd)
plain=$(mktemp -d)
trap 'rm -rf "$plain"' EXIT
cd "$dir"
sha256sum --quiet --check --strict SHA256SUMS
store() {
	buildah --root "$plain/storage" --runroot "$plain/run" --storage-driver vfs "$@"
}

ls image_*.tar.gz >/dev/null
for name in signpost signpost-postfix; do
	version=
	for archive in "image_${name}_"*.tar.gz; do
		[ -e "$archive" ] || continue
		[ -n "$version" ] || store manifest create $name >/dev/null
		version=${archive#"image_${name}_"}
		version=${version%_linux_*}
		gunzip <"$archive" >"$plain/${archive%.gz}"
		store manifest add $name "docker-archive:$plain/${archive%.gz}" >/dev/null
	done
	[ -n "$version" ] || continue
	tags=$version
	case $version in
	*-*) ;;
	*) tags="$version latest" ;;
	esac
	for tag in $tags; do
		store manifest push -q --all --format v2s2 $name "docker://$1/$name:$tag" >/dev/null
		echo "pushed: $1/$name:$tag"
	done
done
