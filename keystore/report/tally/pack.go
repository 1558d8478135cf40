package tally

import (
	"encoding/binary"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"signpost/keystore/report"
)

// longest is the longest period of a report that is believed. One from years ago until a year to
// come would else count always, and on a day to come.
const longest = 32 * 24 * time.Hour

// mostOfRow bounds the messages of one row, so that sums cannot overflow.
const mostOfRow = 1_000_000_000

func (t *Tally) pack(r *report.Report) *batch {
	b := &batch{reporter: t.spelling(r.Reporter), begin: r.Begin.UTC(), end: r.End.UTC(), policy: r.Policy,
		proof: r.Origin.Proof}
	if b.proof == report.Proven {
		b.signer = t.words.values[t.org(t.word(strings.ToLower(r.Origin.Domain)))]
	}
	if at := strings.LastIndexByte(r.Email, '@'); at >= 0 {
		b.email = strings.ToLower(strings.Trim(r.Email[at+1:], "<> \t"))
	}
	if b.end.Before(b.begin) || b.end.Sub(b.begin) > longest {
		b.end = b.begin
	}
	b.day = dayOf(b.begin.Add(b.end.Sub(b.begin) / 2))
	b.cells = make([]cell, 0, len(r.Rows))
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Count <= 0 || !row.Source.IsValid() {
			continue
		}
		c := t.cell(row)
		if c.from == 0 {
			c.from = t.word(strings.ToLower(r.Domain))
		}
		b.cells = append(b.cells, c)
	}
	return b
}

// spelling returns the name of a reporter as it was first written: in another case it is no other.
func (t *Tally) spelling(reporter string) string {
	name := strings.ToLower(reporter)
	first, known := t.reporters[name]
	if !known {
		first = reporter
		t.reporters[name] = first
		t.bytes += 2*len(name) + bytesOfRow
	}
	return first
}

func (t *Tally) cell(row *report.Row) cell {
	c := cell{
		source: t.hosts.number(row.Source.Unmap().WithZone("")),
		from:   t.word(strings.ToLower(strings.TrimSuffix(row.From, "."))),
		sender: t.word(strings.ToLower(row.EnvelopeFrom)),
		auth:   t.auth(row),
		count:  min(row.Count, mostOfRow),
		dkim:   row.DKIM,
		spf:    row.SPF,
	}
	if row.Disposition != "" {
		c.disposition = row.Disposition[0]
	}
	var reasons []string
	for _, reason := range row.Reasons {
		switch reason.Type {
		case "forwarded", "mailing_list", "trusted_forwarder":
			c.forwarded = true
		}
		reasons = append(reasons, reason.Type+"\x00"+reason.Comment)
	}
	c.reasons = t.word(strings.Join(reasons, "\x01"))
	return c
}

// mostResults bounds the raw results of one row.
const mostResults = 100

func (t *Tally) auth(row *report.Row) uint32 {
	var packed []byte
	put := func(n uint32) { packed = binary.LittleEndian.AppendUint32(packed, n) }
	var res results
	for _, s := range row.Signatures[:min(len(row.Signatures), mostResults)] {
		result := strings.ToLower(s.Result)
		if s.Domain == "" || result == "none" {
			continue // RFC 8601, section 2.7.1: there is no signature
		}
		sig := signature{
			key:    key{t.word(strings.ToLower(s.Domain)), t.word(strings.ToLower(s.Selector))},
			result: t.word(result),
			passed: result == "pass",
		}
		sig.org = t.org(sig.domain)
		res.signatures = append(res.signatures, sig)
		put(sig.domain)
		put(sig.selector)
		put(sig.result)
	}
	put(uint32(len(res.signatures)) | 1<<31)
	for _, s := range row.Senders[:min(len(row.Senders), mostResults)] {
		snd := sender{domain: t.word(strings.ToLower(s.Domain)), helo: s.Scope == "helo",
			passed: strings.EqualFold(s.Result, "pass")}
		snd.org = t.org(snd.domain)
		res.senders = append(res.senders, snd)
		put(snd.domain)
		if snd.helo {
			packed = append(packed, 'h')
		}
		if snd.passed {
			packed = append(packed, 'p')
		}
		packed = append(packed, 0)
	}
	n := t.auths.number(string(packed))
	if int(n) == len(t.results) {
		t.bytes += 2 * len(packed)
		t.results = append(t.results, res)
	}
	return n
}

// org returns the registered domain of one, by which the domains of a service are put
// together: many have one for each customer or message.
func (t *Tally) org(domain uint32) uint32 {
	org, known := t.orgs[domain]
	if !known {
		org = domain
		if name, err := publicsuffix.EffectiveTLDPlusOne(t.words.values[domain]); err == nil {
			org = t.word(name)
		}
		t.orgs[domain] = org
	}
	return org
}

func dayOf(at time.Time) time.Time { return at.UTC().Truncate(24 * time.Hour) }
