#!/bin/sh
# Stops what up.sh started. Keys and the mail queue stay.
# usage: down.sh [--but containers|host], to leave one of the two running
set -eu
cd "$(dirname "$0")/.."
but=${2:-}
. docker/engine.sh

stop_host() {
	[ -L build/up ] || return 0
	sh docker/up-host.sh stop
}

stop_containers() {
	find_running_engine || return 0
	[ -n "$("$docker" ps -aq --filter label=com.docker.compose.project=signpost)" ] || return 0
	export ALLOWED_SENDER_DOMAINS=any # not used, but required
	$compose -p signpost -f docker/compose.yaml down --remove-orphans >build/down.log 2>&1 || {
		cat build/down.log >&2
		exit 1
	}
	echo "down: containers stopped"
}

mkdir -p build
[ "$but" = host ] || stop_host
[ "$but" = containers ] || stop_containers
