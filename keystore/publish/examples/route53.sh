#!/bin/sh
# Changes key records in Route 53 for "signpost rotate --publish exec:PROGRAM". The AWS
# command line finds its credentials, and AWS_PROFILE, where it always does.
set -eu

id=$(aws route53 list-hosted-zones-by-name --dns-name "$PUBLISH_ZONE" --output text \
	--query "HostedZones[?Name=='$PUBLISH_ZONE.' && !(Config.PrivateZone)].Id | [0]")
[ "$id" != None ] || { echo "no public hosted zone $PUBLISH_ZONE" >&2; exit 1; }

case $PUBLISH_ACTION in
set)
	action=UPSERT
	value=$(printf %s "$PUBLISH_STRINGS" | sed 's/["\\]/\\&/g')
	set="{\"Name\": \"$PUBLISH_NAME.\", \"Type\": \"TXT\", \"TTL\": $PUBLISH_TTL, \"ResourceRecords\": [{\"Value\": \"$value\"}]}"
	;;
delete) # Route 53 deletes only what is given to it exactly as it is there
	action=DELETE
	set=$(aws route53 list-resource-record-sets --hosted-zone-id "$id" --output json \
		--start-record-name "$PUBLISH_NAME." --start-record-type TXT --max-items 1 \
		--query "ResourceRecordSets[?Name=='$PUBLISH_NAME.' && Type=='TXT'] | [0]")
	[ "$set" != null ] || exit 0
	;;
esac
aws route53 change-resource-record-sets --hosted-zone-id "$id" --output json \
	--change-batch "{\"Changes\": [{\"Action\": \"$action\", \"ResourceRecordSet\": $set}]}"
