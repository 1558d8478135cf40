package main

import (
	"cmp"
	"fmt"
	"strings"

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
func explainReason(v milter.Verdict, client milter.Client, signing *settings.Signing,
	keys *keystore.Snapshot) explanation {
	switch v.Reason {
	case milter.Signed:
		return explainSigned(v, client, signing.Rules.Also)
	case milter.UntrustedClient:
		return explainUntrusted(client)
	case milter.HeaderTooLarge:
		return explanation{"the header is larger than signpostd keeps", "max-header-bytes",
			"raise --max-header-bytes, or header_size_limit of Postfix lower"}
	case milter.MemoryLimit:
		return explanation{"the headers of all messages in transit take all the memory that they may", "max-memory",
			"raise --max-memory, or find out who sends such large headers"}
	case milter.FromMissing:
		return explanation{"the message has no From field, so it has no author domain", "",
			"let the program that writes the message add one; Postfix adds it for sendmail(1) and for clients in " +
				"local_header_rewrite_clients, see the notes"}
	case milter.LoginMismatch:
		what, hint := finding.Split(v.Err)
		return explanation{what + "; it is refused (550 5.7.1)", "sender-login-maps",
			cmp.Or(hint, "send from an address of this login")}
	case milter.FromMultiple:
		return explainUnsignable("the author domain is not clear", v)
	case milter.FromInvalid:
		return explainUnsignable("the author domain cannot be read", v)
	case milter.FromAmbiguous:
		return explainUnsignable("programs would show different author domains", v)
	case milter.NoKey:
		return explainNoKey(v, client.Notice, signing, keys)
	case milter.KeyBroken:
		what, hint := finding.Split(v.Err)
		return explanation{fmt.Sprintf("the key of %s cannot be used: %s", v.Author, what), "keys",
			cmp.Or(hint, "put the key back from a copy, or remove the file and make a new one")}
	case milter.KeyUnknown:
		what, hint := finding.Split(v.Err)
		return explanation{
			fmt.Sprintf("whether %s has a key is not known: %s; its mail is deferred (451 4.7.1)", v.Author, what), "keys",
			cmp.Or(hint, "see that the key store runs and can be reached from here")}
	case milter.RelayKey:
		what, hint := finding.Split(v.Err)
		return explanation{what + "; it is deferred (451 4.7.1) and not sent unsigned", "also-sign",
			cmp.Or(hint, fmt.Sprintf("make a key with signpost keygen%s %s, or one for %s",
				keysOption(signing.Keys.Text), signing.Rules.Also.Domain, v.Author))}
	case milter.LineTooLong:
		what, hint := finding.Split(v.Err)
		return explanation{what + ", which would break the signature", "on-broken-later",
			cmp.Or(hint, "let the program that writes the message wrap its lines")}
	case milter.SignFailed:
		return explanation{fmt.Sprintf("signing failed: %v", v.Err), "",
			"try another key: signpost keygen " + orExample(v.Author)}
	}
	return explanation{}
}

func explainSigned(v milter.Verdict, client milter.Client, also milter.Also) explanation {
	e := explanation{why: "the client is local: the message is handed in on the host itself"}
	switch {
	case client.Notice:
		e.why = "Postfix makes this message itself"
	case client.Login != "":
		e.why = fmt.Sprintf("the client logged in as %s", client.Login)
	case !client.Local:
		e.why, e.setting = fmt.Sprintf("the client %s is in the trusted networks", client.Addr), "trusted-networks"
	}
	signer := v.Keys[0].Domain
	above := strings.HasSuffix(v.Author, "."+signer)
	if also.Domain != "" && signer == also.Domain && signer != v.Author && !above {
		e.why += fmt.Sprintf(", and %s signs where the author domain, as %s, has no key", signer, v.Author)
		e.setting = "also-sign"
		return e
	}
	e.why += fmt.Sprintf(", and there is a key for the author domain %s", v.Author)
	if above {
		e.why += fmt.Sprintf(": that of %s above it (--subdomains)", signer)
	}
	switch {
	case v.AlsoErr != nil:
		what, hint := finding.Split(v.AlsoErr)
		e.why += fmt.Sprintf("; the signature of %s (--also-sign) is missing: %s", also.Domain, what)
		e.hint = cmp.Or(hint, "make a key for "+also.Domain)
	case v.Keys[len(v.Keys)-1].Domain != signer:
		e.why += fmt.Sprintf("; %s signs all mail too (--also-sign)", also.Domain)
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

// explainUnsignable is about From fields without one author domain.
func explainUnsignable(what string, v milter.Verdict) explanation {
	why, hint := finding.Split(v.Err)
	e := explanation{why: what + ": " + why, hint: cmp.Or(hint, "write From as Name <user@example.org>")}
	switch v.Action {
	case milter.TempFail:
		e.why, e.setting = e.why+"; it is deferred (451 4.7.1) and not sent unsigned", "on-unsignable"
	case milter.Reject:
		e.why, e.setting = e.why+"; it is refused (550 5.7.1) and not sent unsigned", "on-unsignable"
	}
	return e
}

func explainNoKey(v milter.Verdict, notice bool, signing *settings.Signing, keys *keystore.Snapshot) explanation {
	e := explanation{
		why: fmt.Sprintf("there is no key for the author domain %s in %s", v.Author,
			settings.WithoutPasswords(signing.Keys.Text)),
		setting: "keys",
		hint:    "make one with signpost keygen" + keysOption(signing.Keys.Text) + " " + v.Author,
	}
	if parent := parentWithKey(v.Author, keys); parent != "" && !signing.Rules.Subdomains {
		e.why += fmt.Sprintf(", and the one of %s does not sign for names below it", parent)
		e.setting = "subdomains"
		e.hint = "set --subdomains, or make a key with signpost keygen" + keysOption(signing.Keys.Text) + " " + v.Author
	}
	if len(signing.Shared) > 0 {
		e.why += ", and that of --shared-key is not known to be in the DNS"
		e.setting = "shared-key"
		e.hint = "have the record published that signpost dns " + v.Author + " prints; signpostd looks for it when " +
			"mail comes from the domain"
	}
	if notice {
		if v.Err != nil {
			e.why += "; its mail must be signed, but a bounce is not deferred for that"
		}
		e.hint += ", or have bounces come from a domain that has a key, by myorigin in main.cf"
	}
	if v.Action == milter.TempFail {
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
