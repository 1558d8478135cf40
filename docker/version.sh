# Sourced, in the root folder. Sets what is not set: VERSION, from the last tag v…, as 1.2.3 or
# 1.2.3-4-gabcdef0123; REVISION and SOURCE_DATE_EPOCH, the commit and its time; SOURCE, the address of the
# repository, where its remote is on the web. Without git, VERSION is dev and the others are empty.

# source_of REMOTE: its address without user, password and .git.
source_of() {
	echo "$1" | sed -nE -e 's#\.git$##' -e 's#^(ssh://)?git@([^:/]+)[:/]#https://\2/#' \
		-e 's#^https://([^/@]*@)?#https://#p'
}

version_of_commit() {
	described=$(git describe --tags --match 'v[0-9]*' --abbrev=10 --dirty 2>/dev/null) && echo "${described#v}" && return
	commits=$(git rev-list --count HEAD 2>/dev/null) || { echo dev; return; }
	echo "0.0.0-$commits-g$(git describe --always --exclude '*' --abbrev=10 --dirty)" # no tag yet
}

VERSION=${VERSION:-$(version_of_commit)}
REVISION=${REVISION:-$(git rev-parse HEAD 2>/dev/null || :)}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || :)}
SOURCE=${SOURCE:-$(source_of "$(git remote get-url origin 2>/dev/null || :)")}
export VERSION REVISION SOURCE_DATE_EPOCH SOURCE

# What --version says.
version_text=$VERSION
[ -z "$REVISION" ] || version_text="$VERSION ($(printf %.10s "$REVISION"), $(date -u -d "@$SOURCE_DATE_EPOCH" +%F))"

# Arguments that label an image: https://specs.opencontainers.org/image-spec/annotations/
labels() {
	label=org.opencontainers.image
	echo "--label $label.version=$VERSION"
	[ -z "$REVISION" ] || echo "--label $label.revision=$REVISION"
	[ -z "$SOURCE" ] || echo "--label $label.source=$SOURCE"
	[ -z "$SOURCE_DATE_EPOCH" ] || echo "--label $label.created=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ)"
}
