#!/bin/sh
# Changes key records by nsupdate for "signpost rotate --publish exec:PROGRAM", where
# rfc2136: does not do: with GSS-TSIG, or over a connection of another kind.
set -eu
{
	echo "${NSUPDATE_SERVER:+server $NSUPDATE_SERVER}"
	echo "zone $PUBLISH_ZONE."
	echo "update delete $PUBLISH_NAME. TXT"
	[ "$PUBLISH_ACTION" = delete ] ||
		echo "update add $PUBLISH_NAME. $PUBLISH_TTL TXT $PUBLISH_STRINGS"
	echo send
} | nsupdate ${NSUPDATE_KEY:+-k "$NSUPDATE_KEY"}
