# Sourced by release.sh: images by buildah, which needs no engine, builds for other architectures, and
# puts the time of the commit in place of the time of the build.

# With storage of its own, which takes nothing from this machine and leaves nothing on it.
store() {
	buildah --root "$PWD/$stage/storage" --runroot "$PWD/$stage/run" --storage-driver vfs "$@"
}

clean_storage() {
	[ ! -d $stage/storage ] || store rmi -a -f >/dev/null 2>&1 || :
}

# image NAME ARCH makes the archive that docker load, podman load and skopeo read. Its format is Docker's,
# for that of OCI has no health check.
image() {
	context=$stage/context
	archive=$stage/archive
	rm -rf $context $archive
	mkdir -p $context/bin $archive
	cp -r docker $context
	cp $stage/"$2"/signpost $stage/"$2"/signpostd $context/bin
	chmod -R u=rwX,go=rX $context
	# shellcheck disable=SC2046 # several arguments
	store build --isolation chroot --platform "linux/$2" --format docker --timestamp "$SOURCE_DATE_EPOCH" \
		$(labels) -t "$1" -f "docker/Dockerfile.${1#signpost-}" $context >$stage/image.log 2>&1 &&
		store push -q "$1" docker-archive:$stage/image.tar >>$stage/image.log 2>&1 || {
		tail -n 5 $stage/image.log >&2
		fail "building the image $1 for $2; hint: see $stage/image.log"
	}
	tar -C $archive -xf $stage/image.tar
	rm $stage/image.tar
	same_everywhere $archive "$1:$VERSION"
	tar -C $archive --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
		-c manifest.json "$(config $archive)" $(layers $archive) | gzip -n >"$out/image_$1_${VERSION}_linux_$2.tar.gz"
}

config() {
	jq -r '.[0].Config' "$1/manifest.json"
}

layers() {
	jq -r '.[0].Layers[]' "$1/manifest.json"
}

# same_everywhere ARCHIVE TAG takes out of an image the container that it was built in.
same_everywhere() {
	jq -cS 'del(.container, .container_config, .config.Hostname)' "$1/$(config "$1")" >"$1/config"
	new=$(sha256sum <"$1/config" | cut -d ' ' -f 1).json
	mv "$1/config" "$1/$new"
	jq -c --arg new "$new" --arg tag "$2" '.[0] += {Config: $new, RepoTags: [$tag]}' "$1/manifest.json" >"$1/manifest"
	mv "$1/manifest" "$1/manifest.json"
}

images() {
	image signpost "$1"
}

postfix() {
	if ! runs_here "$1"; then
		note "$1: image signpost-postfix: NOT MADE, for programs of $1 do not run here; hint: install qemu-user-static and register it: ls /proc/sys/fs/binfmt_misc"
	elif ! base "$1"; then
		note "$1: image signpost-postfix: NOT MADE, for there is no debian:bookworm-slim; hint: see build/release-base.log"
	else
		image signpost-postfix "$1"
	fi
}

# runs_here ARCH: RUN in a Dockerfile needs that.
runs_here() {
	[ "$1" != "$native" ] || return 0
	machine=aarch64
	[ "$1" = arm64 ] || machine=x86_64
	grep -q '^flags:.*F' /proc/sys/fs/binfmt_misc/qemu-$machine 2>/dev/null
}

# base ARCH puts debian:bookworm-slim into the storage: from the registry, or as docker/base.sh makes it.
base() {
	log=build/release-base.log
	! store pull -q --platform "linux/$1" docker.io/library/debian:bookworm-slim >$log 2>&1 || return 0
	[ "$1" = "$native" ] || return 1
	(. docker/engine.sh && find_engine && sh docker/base.sh &&
		"$docker" save debian:bookworm-slim -o $stage/base.tar) >>$log 2>&1 &&
		store pull -q docker-archive:$stage/base.tar >>$log 2>&1
}
