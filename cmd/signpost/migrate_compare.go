package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/keystore/record"
	"signpost/milter"
	"signpost/milter/verify"
)

// comparing is the same message offered to two milters.
type comparing struct {
	theirs, ours milter.Address
	onDisk       dns.Source // the records of the keys that are carried over
	published    dns.Source // nil unless the DNS is asked too
}

// compared is how the mail of an author is signed by OpenDKIM and by signpostd.
type compared struct {
	domain       string
	sub          bool // a domain below one that has a key
	theirs, ours []*verify.Signature
	err          error // why mail would not be signed as before
}

// recordsOf are the records of the keys of plans.
func recordsOf(plan *migrate.Plan) (dns.Source, error) {
	var records []miekg.RR
	for _, key := range plan.Keys {
		r, err := record.ForKey(key.Signer.Public())
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key.File, err)
		}
		records = append(records, verify.NewTXT(record.Name(key.Selector, key.Domain), r.String()))
	}
	return verify.NewRecords(records), nil
}

// domain compares what the two make of a message from a domain.
func (c *comparing) domain(ctx context.Context, domain string, sub bool) compared {
	result := compared{domain: domain, sub: sub}
	var err error
	if _, result.theirs, err = c.sign(ctx, c.theirs, domain); err != nil {
		result.err = fmt.Errorf("OpenDKIM, %s: %w", domain, err)
		return result
	}
	var message []byte
	if message, result.ours, err = c.sign(ctx, c.ours, domain); err != nil {
		result.err = fmt.Errorf("signpostd, %s: %w", domain, err)
		return result
	}
	if sub && len(result.theirs) == 0 {
		return result // there is nothing that it could differ from
	}
	result.err = difference(domain, result.theirs, result.ours)
	if result.err == nil && c.published != nil {
		result.err = c.verifies(ctx, message)
	}
	return result
}

// sign offers a message from a domain to a milter, and judges its signatures by the keys
// on disk.
func (c *comparing) sign(
	ctx context.Context, address milter.Address, domain string,
) ([]byte, []*verify.Signature, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	session, _, err := dialMilter(ctx, address)
	if err != nil {
		return nil, nil, err
	}
	defer session.Close()
	from := "postmaster@" + domain
	fields := []field{
		{"Date", " " + time.Now().UTC().Format(time.RFC1123Z)}, {"From", " Signpost <" + from + ">"},
		{"To", " " + from}, {"Reply-To", " " + from}, {"Subject", " one message, signed by two"},
		{"Message-ID", " <migrate@" + domain + ">"}, {"MIME-Version", " 1.0"},
		{"Content-Type", " text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", " 7bit"},
		{"List-Unsubscribe", " <mailto:" + from + ">"},
	}
	const body = "This message is offered to both milters,\r\n\r\nand never sent.  \r\n"
	changes, err := offer(session, from, fields, body)
	if err != nil {
		return nil, nil, err
	}
	var message bytes.Buffer
	for _, value := range signaturesIn(changes) {
		if !strings.HasPrefix(value, " ") {
			value = " " + value // as Postfix does
		}
		value = strings.ReplaceAll(strings.ReplaceAll(value, "\r\n", "\n"), "\n", "\r\n")
		fmt.Fprintf(&message, "DKIM-Signature:%s\r\n", value)
	}
	for _, f := range fields {
		fmt.Fprintf(&message, "%s:%s\r\n", f.name, f.value)
	}
	message.WriteString("\r\n" + body)
	read, err := verify.Read(bytes.NewReader(message.Bytes()))
	if err != nil {
		return nil, nil, err
	}
	judged := read.Judge(ctx, verify.Options{Source: c.onDisk, Offline: true, Now: time.Now()})
	return message.Bytes(), judged.Signatures, nil
}

// verifies says why no receiver can verify a signature of the message now.
func (c *comparing) verifies(ctx context.Context, message []byte) error {
	read, err := verify.Read(bytes.NewReader(message))
	if err != nil {
		return err
	}
	for _, s := range read.Judge(ctx, verify.Options{Source: c.published, Now: time.Now()}).Signatures {
		if s.Result != verify.Pass {
			return fmt.Errorf("by the DNS, the signature with d=%s s=%s does not verify: %s", s.Domain, s.Selector, s.Reason)
		}
	}
	return nil
}

// difference says why mail from a domain would not be signed as before: with the same d=
// and s= and so that it verifies. What else is different is no reason: see alike.
func difference(domain string, theirs, ours []*verify.Signature) error {
	switch {
	case len(theirs) == 0:
		return finding.WithHint(fmt.Errorf("OpenDKIM does not sign mail from %s", domain),
			"its log says why; reload it if its tables were changed")
	case len(ours) == 0:
		return fmt.Errorf("signpostd would not sign mail from %s", domain)
	}
	for _, s := range ours {
		i := slices.IndexFunc(theirs, func(other *verify.Signature) bool { return named(other) == named(s) })
		if i < 0 {
			var have []string
			for _, other := range theirs {
				have = append(have, named(other))
			}
			return finding.WithHint(fmt.Errorf("mail from %s would be signed with %s, and is signed with %s", domain,
				named(s), strings.Join(have, " and ")), "restart OpenDKIM if its tables were changed; signpost keys shows the keys")
		}
		if s.Result != verify.Pass {
			return fmt.Errorf("the signature of signpostd with %s does not verify by the key on disk: %s", named(s), s.Reason)
		}
		if other := theirs[i]; other.Result != verify.Pass {
			return finding.WithHint(fmt.Errorf("the signature of OpenDKIM with %s does not verify by the key on disk: %s",
				named(other), other.Reason), "restart OpenDKIM if the key was replaced")
		}
	}
	return nil
}

// named names a signature by what must stay.
func named(s *verify.Signature) string { return "d=" + s.Domain + " s=" + s.Selector }

// alike says what is different though mail is signed as before, and for how many domains.
func alike(results []compared) (notes []string) {
	count := make(map[string]int)
	for _, r := range results {
		if r.err != nil || len(r.ours) == 0 {
			continue
		}
		if len(r.theirs) == 0 {
			count["mail from subdomains is signed by signpostd and not by OpenDKIM"]++
			continue
		}
		for _, s := range r.ours {
			i := slices.IndexFunc(r.theirs, func(other *verify.Signature) bool { return named(other) == named(s) })
			other := r.theirs[i]
			if s.Canonicalization != other.Canonicalization {
				count[fmt.Sprintf("c=%s, by OpenDKIM c=%s", s.Canonicalization, other.Canonicalization)]++
			}
			if more := missing(s.Signed, other.Signed); len(more) > 0 {
				count["h= of signpostd also has "+strings.Join(more, ", ")]++
			}
			if less := missing(other.Signed, s.Signed); len(less) > 0 {
				count["h= of OpenDKIM also has "+strings.Join(less, ", ")+
					"; --sign-headers='*,+NAME' has signpostd sign them too"]++
			}
		}
		if len(r.theirs) > len(r.ours) {
			count[fmt.Sprintf("OpenDKIM adds %d signatures, signpostd %d", len(r.theirs), len(r.ours))]++
		}
	}
	for _, note := range slices.Sorted(maps.Keys(count)) {
		notes = append(notes, fmt.Sprintf("%s (%s)", note, plural(count[note], "domain")))
	}
	return notes
}

// missing are the fields of one list that the other has not, or fewer of.
func missing(list, other []string) (names []string) {
	count := make(map[string]int)
	for _, name := range other {
		count[strings.ToLower(name)]++
	}
	for _, name := range list {
		name = strings.ToLower(name)
		if count[name]--; count[name] < 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// all compares every domain, and those below them where they are signed too.
func (c *comparing) all(ctx context.Context, domains []string, subdomains bool) (results []compared, err error) {
	failed := 0
	for _, domain := range domains {
		results = append(results, c.domain(ctx, domain, false))
		if subdomains {
			results = append(results, c.domain(ctx, "signpost-migrate."+domain, true))
		}
		if ctx.Err() != nil {
			return results, errStopped
		}
	}
	var errs []error
	for _, r := range results {
		if r.err == nil {
			continue
		}
		if failed++; failed <= 10 {
			errs = append(errs, r.err)
		}
	}
	if failed > 10 {
		errs = append(errs, fmt.Errorf("and %d more like these", failed-10))
	}
	return results, errors.Join(errs...)
}
