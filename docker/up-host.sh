#!/bin/sh
# The part of up.sh that uses no containers: signpostd and an instance of Postfix with all its
# files in the folder that build/up points to. The Postfix of the system is not touched.
# usage: up-host.sh [stop]
set -eu
PATH=$PATH:/usr/sbin:/sbin
keys=$PWD/opendkim-keys
sink=127.0.0.25:1525
root=
[ "$(id -u)" = 0 ] || root="sudo"

# Waits until it has stopped, 25 s at most: until then it may write to the folder.
stop_signpostd() {
	kill "$1" 2>/dev/null || return 0
	tries=250 # of 0.1 s
	while kill -0 "$1" 2>/dev/null; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || kill -9 "$1" 2>/dev/null || :
		sleep 0.1
	done
}

stop() {
	[ ! -e "$here/queue/pid/master.pid" ] || $root postfix -c "$here/etc" stop >>"$here/postfix.log" 2>&1 || :
	[ ! -e "$here/signpostd.pid" ] || stop_signpostd "$(cat "$here/signpostd.pid")"
	$root rm -rf "$here"
	rm -f build/up
}

start_signpostd() {
	: >"$here/signpostd.log"
	ALLOWED_SENDER_DOMAINS=$DOMAINS DKIM_AUTOGENERATE=yes SIGNPOST_KEYS=$keys SIGNPOST_LISTEN=inet:127.0.0.1:0 \
		SIGNPOST_HTTP=127.0.0.1:$STATUS_PORT SIGNPOST_STATE=$here \
		setsid bin/signpostd >"$here/signpostd.log" 2>&1 </dev/null &
	echo $! >"$here/signpostd.pid"
	tries=100 # of 0.1 s
	until milter=$(sed -n 's/.*listening.* addr=\([^ ]*\).*/\1/p' "$here/signpostd.log") && [ -n "$milter" ]; do
		tries=$((tries - 1))
		if [ $tries = 0 ] || ! kill -0 "$(cat "$here/signpostd.pid")" 2>/dev/null; then
			cat "$here/signpostd.log" >&2
			echo "up: error: signpostd did not start" >&2
			return 1
		fi
		sleep 0.1
	done
}

# The main.cf of the image, limited to this folder and to loopback.
start_postfix() {
	$root mkdir "$here/etc" "$here/data" "$here/queue"
	$root cp /usr/share/postfix/master.cf.dist "$here/etc/master.cf"
	$root chown postfix "$here/data"
	$root env ALLOWED_SENDER_DOMAINS="$DOMAINS" SIGNPOST_MILTER="$milter" \
		POSTFIX_config_directory="$here/etc" POSTFIX_queue_directory="$here/queue" POSTFIX_data_directory="$here/data" \
		POSTFIX_maillog_file="$here/postfix.log" POSTFIX_maillog_file_prefixes="$here" \
		POSTFIX_inet_interfaces=127.0.0.1 POSTFIX_inet_protocols=ipv4 POSTFIX_myhostname=mail.localdomain \
		POSTFIX_transport_maps="inline:{ {[${sink%:*}] = smtp:[${sink%:*}]:${sink#*:}} }" \
		bin/signpost postfix write --config-dir "$here/etc" 2>"$here/write.log" || {
		cat "$here/write.log" >&2
		return 1
	}
	$root postconf -c "$here/etc" -MX smtp/inet submission/inet
	$root postconf -c "$here/etc" -M "$smtp/inet=$smtp inet n - n - - smtpd"
	$root postfix -c "$here/etc" start >>"$here/postfix.log" 2>&1 || {
		tail -n 5 "$here/postfix.log" >&2
		echo "up: error: Postfix did not start" >&2
		return 1
	}
}

here=$(readlink build/up || :)
if [ "${1:-}" = stop ]; then
	stop
	echo "down: signpostd and Postfix stopped"
	exit
fi
[ -z "$here" ] || stop
sh test/setup.sh mta
# Not below this folder, which the user postfix may not be able to read.
here=$(mktemp -d /var/tmp/signpost.XXXXXX)
chmod 755 "$here"
mkdir -p build
ln -s "$here" build/up
smtp=127.0.0.1:$SMTP_PORT
start_signpostd
start_postfix
echo "up: sending a message from $DOMAINS"
# shellcheck disable=SC2086 # a list of names
build/probe --submit $smtp --listen $sink --keys "$keys" $DOMAINS || {
	tail -n 20 "$here/signpostd.log" "$here/postfix.log" >&2
	exit 1
}

printf '\nDNS records to publish:\n\n'
# shellcheck disable=SC2086 # a list of names
bin/signpost dns --keys "$keys" --format line $DOMAINS
