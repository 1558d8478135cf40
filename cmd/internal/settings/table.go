package settings

import (
	"slices"

	"signpost/keystore"
	"signpost/milter"
)

// ForDaemon returns all settings of signpostd, in the order of its help.
func ForDaemon() []Setting {
	return slices.Concat([]Setting{
		{Name: "listen", Variables: []string{"SIGNPOST_LISTEN", "OPENDKIM_Socket"},
			Default: "inet:8891@localhost",
			Usage: "`SOCKET`s to listen on, separated by commas: inet:HOST:PORT, inet:PORT@HOST, " +
				"inet:PORT (all addresses) or unix:/PATH"},
	}, ForSigning(), []Setting{
		{Name: "allow-peers", Variables: []string{"SIGNPOST_ALLOW_PEERS"},
			Default: milter.PrivateNetworks,
			Usage:   "`NETWORKS` that may connect to the milter by TCP"},
		{Name: "autogenerate", Variables: []string{"SIGNPOST_AUTOGENERATE", "DKIM_AUTOGENERATE"},
			Switch: true,
			Usage:  "make keys for those of --domains that have none, as DOMAIN.private and DOMAIN.txt"},
		{Name: "max-connections", Variables: []string{"SIGNPOST_MAX_CONNECTIONS"}, Default: "1000",
			Usage: "most connections at once, a `NUMBER`"},
		{Name: "max-peer-connections", Variables: []string{"SIGNPOST_MAX_PEER_CONNECTIONS"}, Default: "0",
			Usage: "most connections of one peer, a `NUMBER`; 0 for three quarters of --max-connections"},
		{Name: "max-memory", Variables: []string{"SIGNPOST_MAX_MEMORY"}, Default: "256MiB",
			Usage: "most memory for the headers of all messages in transit, in `BYTES`, such as 64MiB"},
		{Name: "message-time", Variables: []string{"SIGNPOST_MESSAGE_TIME"}, Default: "5m",
			Usage: "`TIME` that a message gets from its first header field to its end"},
		{Name: "idle-timeout", Variables: []string{"SIGNPOST_IDLE_TIMEOUT"}, Default: "1h",
			Usage: "close a connection that sends nothing for this `TIME`"},
		{Name: "drain-timeout", Variables: []string{"SIGNPOST_DRAIN_TIMEOUT"}, Default: "8s",
			Usage: "`TIME` that messages in progress get to finish on SIGTERM"},
		{Name: "resolver", Variables: []string{"SIGNPOST_RESOLVER"},
			Usage: "DNS `SERVER` to query instead of those in /etc/resolv.conf: HOST or HOST:PORT"},
		{Name: "dns-rate", Variables: []string{"SIGNPOST_DNS_RATE"}, Default: "20",
			Usage: "most DNS queries per second, a `NUMBER`"},
		{Name: "state", Variables: []string{"SIGNPOST_STATE"},
			Usage: "`DIRECTORY` in which to keep the answers of the DNS over a restart; several nodes may share it"},
		{Name: "peers", Variables: []string{"SIGNPOST_PEERS"},
			Usage: "`NAMES` of nodes to share the answers of the DNS with, separated by commas, " +
				"each HOST or HOST:PORT of their --http; " +
				"a name with several addresses is all of them"},
		{Name: "node", Variables: []string{"SIGNPOST_NODE"},
			Usage: "`NAME` of this node among those that share, instead of that of the host"},
		{Name: "max-key-age", Variables: []string{"SIGNPOST_MAX_KEY_AGE"}, Default: "8760h",
			Usage: "warn once a day of signing keys that are older than this `TIME`; 0 for never"},
		{Name: "rescan", Variables: []string{"SIGNPOST_RESCAN"}, Default: "30s",
			Usage: "read the key directory at this `INTERVAL` even if no change is reported"},
		{Name: "removal-grace", Variables: []string{"SIGNPOST_REMOVAL_GRACE"}, Default: "10s",
			Usage: "`TIME` for which the file of a key must be missing before the key is dropped"},
		{Name: "lookup-time", Variables: []string{"SIGNPOST_LOOKUP_TIME"}, Default: "200ms",
			Usage: "`TIME` that a message waits for a key store over the network whose keys of its domain are not known yet"},
		{Name: "cache", Variables: []string{"SIGNPOST_CACHE"},
			Usage: "`DIRECTORY` for an encrypted copy of the last good keys of stores over the network, " +
				"for a start while those do not answer"},
		{Name: "cache-key", Variables: []string{"SIGNPOST_CACHE_KEY"},
			Usage: "`FILE` with the key of that copy, 32 bytes in hex; made as DIRECTORY/key when empty"},
		{Name: "http", Variables: []string{"SIGNPOST_HTTP"},
			Usage: "serve a status page, metrics and readiness at `ADDRESS`: HOST:PORT, " +
				":PORT (all addresses) or unix:/PATH; off when empty"},
		{Name: "http-host", Variables: []string{"SIGNPOST_HTTP_HOST"},
			Usage: "further `NAMES`, separated by commas, under which browsers and proxies reach --http"},
	}, ForReports(), []Setting{
		{Name: "confine", Variables: []string{"SIGNPOST_CONFINE"}, Default: "auto",
			Usage: "`MODE` of giving up, once started, all rights that signing does not need: " +
				"auto, as far as the kernel can; require, or not start; off"},
		{Name: "log-format", Variables: []string{"SIGNPOST_LOG_FORMAT"}, Default: "text",
			Usage: "`FORMAT` of the log: text or json"},
		{Name: "log-level", Variables: []string{"SIGNPOST_LOG_LEVEL"}, Default: "info",
			Usage: "`LEVEL` of the log: debug, info, warn or error"},
	})
}

// ForSigning returns the settings that decide who gets signed, and how.
func ForSigning() []Setting {
	keys := ForKeys()
	return slices.Concat(keys[:2], []Setting{
		{Name: "domains", Variables: []string{"SIGNPOST_DOMAINS", "ALLOWED_SENDER_DOMAINS"},
			Usage: "`DOMAINS`, separated by white space, whose mail is deferred or refused rather than sent unsigned"},
		{Name: "subdomains", Variables: []string{"SIGNPOST_SUBDOMAINS"}, Switch: true,
			Usage: "let the key of a domain sign for its subdomains too"},
		{Name: "shared-key", Variables: []string{"SIGNPOST_SHARED_KEY"},
			Usage: "`KEYS` for all domains without one whose DNS has their record, as " +
				"SELECTOR=PATH, separated by commas; most have a CNAME to a record of yours"},
		{Name: "also-sign", Variables: []string{"SIGNPOST_ALSO_SIGN"},
			Usage: "add a signature of `DOMAIN`, the relay's own, to all mail that is signed, and sign what has " +
				"no key of its author domain; DOMAIN=without-key does only the latter"},
		{Name: "on-unsignable", Variables: []string{"SIGNPOST_ON_UNSIGNABLE"}, Default: "reject",
			Usage: "`ACTION` on mail that must be signed and never can be, for its From fields: " +
				"reject (550) or defer (451)"},
		{Name: "trusted-networks", Variables: []string{"SIGNPOST_TRUSTED_NETWORKS"},
			Default: milter.PrivateNetworks,
			Usage: "`NETWORKS`, separated by commas or white space, whose clients are signed without a login; " +
				"none for nobody"},
		{Name: "sender-login-maps", Variables: []string{"SIGNPOST_SENDER_LOGIN_MAPS"},
			Usage: "`MAPS` of the logins that own an address, as in smtpd_sender_login_maps of Postfix: texthash:/FILE, " +
				"regexp:/FILE, pcre:/FILE, inline:{...} or static:LOGIN. A login with another's address in From is rejected (550)"},
		{Name: "sender-login-unknown", Variables: []string{"SIGNPOST_SENDER_LOGIN_UNKNOWN"}, Default: "allow",
			Usage: "`ACTION` on a login with an address in From that no map has: allow or reject (550)"},
		{Name: "sender-login-local", Variables: []string{"SIGNPOST_SENDER_LOGIN_LOCAL"},
			Usage: "`DOMAINS`, separated by white space, whose addresses the maps may have without the domain"},
		{Name: "canonicalization",
			Variables: []string{"SIGNPOST_CANONICALIZATION", "OPENDKIM_Canonicalization"},
			Default:   "relaxed/relaxed",
			Usage:     "`HEADER/BODY`, each simple or relaxed"},
		{Name: "sign-headers", Variables: []string{"SIGNPOST_SIGN_HEADERS", "OPENDKIM_SignHeaders"},
			Usage: "header `FIELDS` to sign when present, separated by commas; " +
				"*,+ADD,-REMOVE changes the default list"},
		{Name: "oversign-headers",
			Variables: []string{"SIGNPOST_OVERSIGN_HEADERS", "OPENDKIM_OversignHeaders"},
			Usage: "header `FIELDS` that cannot be added later without breaking the signature; " +
				"*,+ADD,-REMOVE changes the default list"},
		{Name: "expire", Variables: []string{"SIGNPOST_EXPIRE"}, Default: "0",
			Usage: "let signatures expire after this `TIME` (x=), such as 168h; 0 for never"},
		{Name: "on-broken-later", Variables: []string{"SIGNPOST_ON_BROKEN_LATER"}, Default: "warn",
			Usage: "`ACTION` on mail with a line over 998 octets that Postfix breaks after signing, " +
				"and the signature with it: warn (sign it, and log that), defer (451) or reject (550)"},
	}, keys[2:], []Setting{
		{Name: "max-header-bytes", Variables: []string{"SIGNPOST_MAX_HEADER_BYTES"}, Default: "8388608",
			Usage: "largest header of a message in `BYTES`"},
	})
}

// ForKeys returns the settings that decide how the key directory is read.
func ForKeys() []Setting {
	return []Setting{
		{Name: "keys", Variables: []string{"SIGNPOST_KEYS"}, Default: "/etc/opendkim/keys",
			Usage: "key `DIRECTORY`, or the URL of a store, such as redis://HOST or vault:https://HOST/MOUNT/PATH; " +
				"several with commas between"},
		{Name: "selector", Variables: []string{"SIGNPOST_SELECTOR", "DKIM_SELECTOR"},
			Default: keystore.DefaultSelector,
			Usage: "`SELECTOR` of keys whose file name has none: a selector, or domain=selector, " +
				"separated by commas"},
		{Name: "min-key-bits",
			Variables: []string{"SIGNPOST_MIN_KEY_BITS", "OPENDKIM_MinimumKeyBits"}, Default: "1024",
			Usage: "smallest RSA key that signs, in `BITS`"},
		{Name: "require-safe-keys",
			Variables: []string{"SIGNPOST_REQUIRE_SAFE_KEYS", "OPENDKIM_RequireSafeKeys"}, Switch: true,
			Usage: "reject key files that group or others can read or write"},
		{Name: "dns-check", Variables: []string{"SIGNPOST_DNS_CHECK"}, Default: "on",
			Usage: "`MODE` in which a key is chosen: on, the newest whose record is in the DNS; " +
				"warn, the newest, with a warning while its record is missing; off, the newest, without DNS queries"},
	}
}

// companion returns the settings of signpost that signpostd does not have.
func companion() []Setting {
	return []Setting{
		{Name: "daemon", Variables: []string{"SIGNPOST_DAEMON"},
			Usage: "ask the signpostd whose status page is at `ADDRESS`, as in its --http"},
		{Name: "socket", Variables: []string{"SIGNPOST_LISTEN", "OPENDKIM_Socket"},
			Default: "inet:8891@localhost",
			Usage:   "`ADDRESS` where signpostd listens, as in its --listen"},
		{Name: "config-dir", Variables: []string{"SIGNPOST_POSTFIX_CONFIG"}, Default: "/etc/postfix",
			Usage: "`DIRECTORY` of main.cf and master.cf"},
		{Name: "postfix", Variables: []string{"SIGNPOST_POSTFIX_CONFIG"},
			Usage: "`PATH` of main.cf, of its directory, or of the output of postconf -n; " +
				"without it the defaults of Postfix hold"},
		{Name: "milter", Variables: []string{"SIGNPOST_MILTER"}, Default: "inet:signpostd:8891",
			Usage: "`ADDRESS` of signpostd for Postfix, inet:HOST:PORT or unix:/PATH"},
		{Name: "password", Variables: []string{"SIGNPOST_PASSWORD"}},
		{Name: "slots", Variables: []string{"SIGNPOST_SLOTS"},
			Usage: "`SELECTORS` at which keys take turns, as a,b, in place of new ones"},
		{Name: "slot-zone", Variables: []string{"SIGNPOST_SLOT_ZONE"},
			Usage: "`ZONE` of yours that the CNAME of each slot points into"},
		{Name: "publish", Variables: []string{"SIGNPOST_PUBLISH"},
			Usage: "`METHOD` to put records into the DNS and take them out: " +
				"rfc2136:server=HOST,key-file=FILE, cloudflare:token-file=FILE, desec:token-file=FILE or exec:PROGRAM"},
	}
}
