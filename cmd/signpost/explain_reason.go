package main

import (
	"cmp"
	"fmt"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/milter"
)

// explanation says in words what a reason comes from.
type explanation struct {
	why     string
	setting string // the one that decides; empty where none does
	hint    string
}

// explainReason puts a verdict in words. Every milter.Reason has its own.
func explainReason(v milter.Verdict, client milter.Client, signing *settings.Signing, keys *keystore.Snapshot) explanation {
	switch v.Reason {
	case milter.Signed:
		return explainSigned(v, client)
	case milter.UntrustedClient:
		return explainUntrusted(client)
	case milter.HeaderTooLarge:
		return explanation{"the header is larger than signpostd keeps", "max-header-bytes",
			"raise --max-header-bytes, or header_size_limit of Postfix lower"}
	case milter.FromMissing:
		return explanation{"the message has no From field, so it has no author domain", "",
			"let the program that writes the message add one; Postfix adds it for sendmail(1) and for clients in local_header_rewrite_clients, see the notes"}
	case milter.FromMultiple:
		return explanation{fmt.Sprintf("the author domain is not clear: %v", v.Err), "",
			"send with one From field, and with addresses of one domain in it"}
	case milter.FromInvalid:
		return explanation{fmt.Sprintf("the author domain cannot be read: %v", v.Err), "",
			"write From as Name <user@example.org>, with a name of special characters in double quotes"}
	case milter.NoKey:
		return explainNoKey(v, signing, keys)
	case milter.KeyBroken:
		what, hint := finding.Split(v.Err)
		return explanation{fmt.Sprintf("the key of %s cannot be used: %s", v.Author, what), "keys",
			cmp.Or(hint, "put the key back from a copy, or remove the file and make a new one")}
	case milter.SignFailed:
		return explanation{fmt.Sprintf("signing failed: %v", v.Err), "",
			"try another key: signpost keygen " + orExample(v.Author)}
	}
	return explanation{}
}

func explainSigned(v milter.Verdict, client milter.Client) explanation {
	e := explanation{why: "the client is local: the message is handed in on the host itself"}
	switch {
	case client.Login != "":
		e.why = fmt.Sprintf("the client logged in as %s", client.Login)
	case !client.Local:
		e.why, e.setting = fmt.Sprintf("the client %s is in the trusted networks", client.Addr), "trusted-networks"
	}
	e.why += fmt.Sprintf(", and there is a key for the author domain %s", v.Author)
	if signer := v.Keys[0].Domain; signer != v.Author {
		e.why += fmt.Sprintf(": that of %s above it (--subdomains)", signer)
	}
	return e
}

func explainUntrusted(client milter.Client) explanation {
	who := "nobody said who the client is"
	if client.Addr.IsValid() {
		who = fmt.Sprintf("the client %s did not log in and is not in the trusted networks", client.Addr)
	}
	return explanation{who, "trusted-networks",
		"let the client log in (SMTP AUTH), or add its network to --trusted-networks"}
}

func explainNoKey(v milter.Verdict, signing *settings.Signing, keys *keystore.Snapshot) explanation {
	e := explanation{
		why:     fmt.Sprintf("there is no key for the author domain %s in %s", v.Author, signing.Keys.Dir),
		setting: "keys",
		hint:    "make one with signpost keygen" + keysOption(signing.Keys.Dir) + " " + v.Author,
	}
	if parent := parentWithKey(v.Author, keys); parent != "" && !signing.Rules.Subdomains {
		e.why += fmt.Sprintf(", and the one of %s does not sign for names below it", parent)
		e.setting = "subdomains"
		e.hint = "set --subdomains, or make a key with signpost keygen" + keysOption(signing.Keys.Dir) + " " + v.Author
	}
	if v.TempFail {
		e.why += "; its mail must be signed, so it is deferred (451 4.7.1) and not sent unsigned"
		e.setting = "domains"
	}
	return e
}

// parentWithKey returns the nearest domain above name that has a key.
func parentWithKey(name string, keys *keystore.Snapshot) string {
	for parent := range dns.Walk(name) {
		if parent != name && keys.Domain(parent).Err() == nil {
			return parent
		}
	}
	return ""
}

func orExample(domain string) string {
	if domain == "" {
		return "example.org"
	}
	return domain
}
