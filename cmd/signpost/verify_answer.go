package main

import (
	"time"

	"signpost/milter/verify"
)

// verifyJSON is what --json prints. The shape is documented in the help text.
type verifyJSON struct {
	Messages []verifyAnswer `json:"messages"`
}

type verifyAnswer struct {
	File       string            `json:"file"`
	Verdict    string            `json:"verdict"` // "pass", "fail" or "unknown"
	Sentence   string            `json:"sentence"`
	Notes      []string          `json:"notes"`
	Signatures []verifySignature `json:"signatures"`
	SPF        verifySPF         `json:"spf"`
	DMARC      verifyDMARC       `json:"dmarc"`
	Results    string            `json:"authentication_results"`
}

type verifySignature struct {
	Line             int      `json:"line"`
	Domain           string   `json:"domain"`
	Selector         string   `json:"selector"`
	Identity         string   `json:"identity,omitempty"`
	Algorithm        string   `json:"algorithm"`
	Canonicalization string   `json:"canonicalization"`
	KeyBits          int      `json:"key_bits,omitempty"`
	Signed           []string `json:"signed"`
	Time             string   `json:"time,omitempty"`
	Expires          string   `json:"expires,omitempty"`
	Result           string   `json:"result"`
	Where            string   `json:"where,omitempty"`
	Reason           string   `json:"reason,omitempty"`
	Notes            []string `json:"notes"`
	Aligned          bool     `json:"aligned"`
}

type verifySPF struct {
	Result  string `json:"result"`
	Reason  string `json:"reason,omitempty"`
	IP      string `json:"ip,omitempty"`
	Helo    string `json:"helo,omitempty"`
	Sender  string `json:"sender,omitempty"`
	Domain  string `json:"domain,omitempty"`
	Record  string `json:"record,omitempty"`
	Term    string `json:"term,omitempty"`
	Lookups int    `json:"lookups"`
	Void    int    `json:"void_lookups"`
	Aligned bool   `json:"aligned"`
}

type verifyDMARC struct {
	Result         string   `json:"result"`
	Reason         string   `json:"reason,omitempty"`
	AuthorDomain   string   `json:"author_domain,omitempty"`
	Organizational string   `json:"organizational_domain,omitempty"`
	Name           string   `json:"name,omitempty"`
	Record         string   `json:"record,omitempty"`
	Tag            string   `json:"tag,omitempty"`
	Published      string   `json:"published_policy,omitempty"`
	Policy         string   `json:"policy,omitempty"`
	DKIM           []string `json:"aligned_dkim"`
	SPF            string   `json:"aligned_spf,omitempty"`
	Disposition    string   `json:"disposition"`
}

func newVerifyAnswer(file string, j *verify.Judgement, server string) verifyAnswer {
	a := verifyAnswer{File: file, Verdict: verdictWord(j), Notes: append([]string{}, j.Notes...),
		Signatures: []verifySignature{}, Results: j.AuthenticationResults(server)}
	for _, s := range j.Signatures {
		a.Signatures = append(a.Signatures, verifySignature{
			Line: s.Line, Domain: s.Domain, Selector: s.Selector, Identity: s.Identity,
			Algorithm: s.Algorithm, Canonicalization: s.Canonicalization,
			KeyBits: s.KeyBits, Signed: append([]string{},
				s.Signed...), Time: timestamp(s.Time), Expires: timestamp(s.Expires),
			Result: string(s.Result), Where: s.Where, Reason: s.Reason, Notes: append([]string{},
				s.Notes...), Aligned: s.Aligned,
		})
	}
	spf := j.SPF
	a.SPF = verifySPF{Result: string(spf.Result), Reason: spf.Skipped, Helo: spf.Envelope.Helo,
		Sender: spf.Sender, Domain: spf.Domain,
		Record: spf.Record, Term: spf.Term, Lookups: spf.Lookups, Void: spf.Void, Aligned: spf.Aligned}
	if spf.Envelope.IP.IsValid() {
		a.SPF.IP = spf.Envelope.IP.String()
	}
	if spf.Err != nil {
		a.SPF.Reason = spf.Err.Error()
	}
	d := j.DMARC
	a.DMARC = verifyDMARC{Result: string(d.Result), Reason: d.Reason, AuthorDomain: d.AuthorDomain,
		DKIM: append([]string{}, d.DKIM...), SPF: d.SPF, Disposition: d.Disposition}
	if p := d.Policy; p != nil {
		a.DMARC.Organizational, a.DMARC.Record, a.DMARC.Policy = p.Organizational, p.Text, p.Policy
		a.DMARC.Tag, a.DMARC.Published = p.Tag, p.Published
		if p.Found != "" {
			a.DMARC.Name = "_dmarc." + p.Found
		}
	}
	a.Sentence = verifySentence(j)
	return a
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func verdictWord(j *verify.Judgement) string {
	switch good, unknown := j.Good(); {
	case good:
		return "pass"
	case unknown:
		return "unknown"
	}
	return "fail"
}
