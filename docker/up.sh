#!/bin/sh
# Starts Postfix and signpostd, sends a message from every domain, verifies the signatures, and
# prints the DNS records to publish.
#
# In containers; with ENGINE=none, or without a container engine, on this machine.
# DOMAINS are the domains to send from: by default those that have keys, else example.org.
# SMTP_PORT is the port for mail, STATUS_PORT that of the status page.
set -eu
cd "$(dirname "$0")/.."
have=$(find opendkim-keys -maxdepth 1 -name '*.private' 2>/dev/null | sed 's|.*/||; s|\.private$||' | sort)
# shellcheck disable=SC2086 # lines become words
DOMAINS=${DOMAINS:-$(echo $have)}
DOMAINS=${DOMAINS:-example.org}
SMTP_PORT=${SMTP_PORT:-1587}
STATUS_PORT=${STATUS_PORT:-8890}
export DOMAINS SMTP_PORT STATUS_PORT
mkdir -p build opendkim-keys

. docker/engine.sh
if find_engine; then
	how=containers
	sh docker/base.sh &
	base=$!
	$MAKE --no-print-directory build
	wait $base
else
	how=host
	[ "${ENGINE:-}" = none ] || echo "up: no container engine, so Postfix and signpostd run on this machine"
	$MAKE --no-print-directory build
fi
sh docker/down.sh --but $how
sh docker/up-$how.sh

first=${DOMAINS%% *}
check="bin/signpost check --keys opendkim-keys"
if [ $how = containers ]; then
	name=$("$docker" ps --filter label=com.docker.compose.project=signpost --filter label=com.docker.compose.service=signpostd --format '{{.Names}}')
	check="docker exec $name signpost check"
fi
cat <<END

Postfix takes mail at 127.0.0.1:$SMTP_PORT, from senders at: $DOMAINS
    swaks --server 127.0.0.1:$SMTP_PORT --from you@$first --to someone@example.com
The status page: http://127.0.0.1:$STATUS_PORT/
The keys are in opendkim-keys/. Once the records are published: $check $first
To stop: make down
END
