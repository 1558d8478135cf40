#!/bin/sh
# Builds the images signpost and signpost-postfix from the binaries in bin/.
set -eu
cd "$(dirname "$0")/.."
. docker/version.sh
. docker/engine.sh
find_engine
sh docker/base.sh
mkdir -p build

# image NAME DOCKERFILE: quiet, unless it fails.
image() {
	# shellcheck disable=SC2046 # several arguments
	"$docker" build $(labels) -t "$1" -f "$2" . >build/image.log 2>&1 || {
		tail -n 15 build/image.log >&2
		echo "images: error: building $1 failed; hint: see build/image.log" >&2
		exit 1
	}
	# The previous image has lost its name.
	"$docker" image prune -f --filter "label=org.opencontainers.image.title=$1" >/dev/null
}
image signpost docker/Dockerfile.signpost
image signpost-postfix docker/Dockerfile.postfix
"$docker" image ls --format 'images: {{.Repository}} {{.Size}}' --filter reference=signpost:latest --filter reference=signpost-postfix:latest
