#!/bin/sh
# The part of up.sh that uses containers: builds the images and starts compose.yaml.
set -eu
. docker/engine.sh
find_engine
sh docker/images.sh

keys=$PWD/opendkim-keys
# The probe receives its own message, so there is no relay host.
export KEYS_DIR="$keys" ALLOWED_SENDER_DOMAINS="$DOMAINS" RELAYHOST=
compose="$compose -p signpost -f docker/compose.yaml"
echo "up: starting containers"
$compose up -d --remove-orphans >build/up.log 2>&1 || {
	tail -n 15 build/up.log >&2
	echo "up: error: the containers did not start; hint: see build/up.log" >&2
	exit 1
}

echo "up: sending a message from $DOMAINS"
# shellcheck disable=SC2086 # a list of names
"$docker" run --rm --network signpost_default --user 0:0 --cap-drop ALL --cap-add NET_BIND_SERVICE --read-only \
	-v "$PWD/build/probe:/probe:ro" -v "$keys:/keys:ro" --entrypoint /probe signpost \
	--submit mail:587 --keys /keys $DOMAINS || {
	$compose logs --no-color --tail=20 >&2
	exit 1
}

printf '\nDNS records to publish:\n\n'
# In a container, whose user can read the keys.
# shellcheck disable=SC2086 # a list of names
"$docker" run --rm --network none --user "${KEYS_USER:-101:104}" --cap-drop ALL --read-only -v "$keys:/etc/opendkim/keys:ro" \
	-e DKIM_SELECTOR --entrypoint /signpost signpost dns --format line $DOMAINS
