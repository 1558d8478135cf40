package verify

import (
	"strings"
	"unicode"

	"signpost/keystore/policy"

	"github.com/emersion/go-msgauth/authres"
)

// AuthenticationResults returns the value of the header field that a receiver
// called authservID would add (RFC 8601), on one line.
func (j *Judgement) AuthenticationResults(authservID string) string {
	var results []authres.Result
	for _, s := range j.Signatures {
		results = append(results,
			&authres.GenericResult{Method: "dkim", Value: authres.ResultValue(s.Result),
				Params: map[string]string{
					"reason":   reason(s.Where, s.Result),
					"header.d": visible(s.Domain), "header.i": visible(s.Identity), "header.s": visible(s.Selector),
					"header.a": visible(s.Algorithm), "header.b": visible(s.start),
				}})
	}
	if len(j.Signatures) == 0 {
		results = append(results, &authres.GenericResult{Method: "dkim", Value: authres.ResultNone})
	}
	if j.SPF.Skipped == "" {
		mailFrom := j.SPF.Envelope.MailFrom
		if mailFrom == NullSender {
			mailFrom = "" // then smtp.helo is what was checked
		}
		results = append(results,
			&authres.SPFResult{Value: authres.ResultValue(j.SPF.Result), From: visible(mailFrom),
				Helo: visible(j.SPF.Envelope.Helo)})
	}
	dmarc := map[string]string{"header.from": j.DMARC.AuthorDomain}
	if j.DMARC.Result == Fail {
		dmarc["policy.dmarc"] = j.DMARC.Policy.Policy
	}
	if !j.DMARC.skipped {
		results = append(results,
			&authres.GenericResult{Method: "dmarc", Value: authres.ResultValue(j.DMARC.Result), Params: dmarc})
	}
	text := authres.Format(authservID, results)
	// The library leaves a space where a result has no properties.
	return strings.TrimSuffix(strings.ReplaceAll(text, " ;", ";"), " ")
}

// reason is a short form without what would end a value.
func reason(where string, result Result) string {
	if result == Pass {
		return ""
	}
	return map[string]string{
		inSyntax: "malformed signature", inAlgorithm: "weak or unknown algorithm", inBody: "body hash did not verify",
		inHeader: "signature did not verify", inKey: "no usable key", inTime: "signature expired or from the future",
		inDNS: "key lookup failed",
	}[where]
}

// visible replaces what could break out of a header field.
func visible(s string) string {
	s = strings.Map(func(c rune) rune {
		if c == ' ' || !unicode.IsPrint(c) || strings.ContainsRune(`";\()`, c) {
			return '_'
		}
		return c
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), 300)], "_")
}

// Good reports whether what is aligned with the author passes, and DMARC with
// it where there is a policy. Unknown says that the DNS kept it from being
// found out.
func (j *Judgement) Good() (good, unknown bool) {
	switch j.DMARC.Result {
	case Pass:
		return true, false
	case TempError:
		return false, true
	case None:
		if j.DMARC.Aligned() {
			return true, false
		}
		for _, s := range j.Signatures {
			unknown = unknown || s.Result == TempError
		}
		return false, unknown || j.SPF.Result == policy.TempError
	}
	return false, false
}
