package verify

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/authres"
	msgauth "github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"signpost/milter/dkim"
)

// FuzzJudge: no message makes a receiver stumble, and what it says fits on a
// line that parses.
func FuzzJudge(f *testing.F) {
	good := sign(f, "ed25519", testHeader(), testBody)
	f.Add([]byte(good))
	f.Add([]byte(strings.ReplaceAll(good, "\r\n", "\n")))
	f.Add([]byte("From a@b\nFrom: a@b.example\nReceived: from x ([192.0.2.1]) by y\nReturn-Path: <a@b.example>\n\nx\n\nFrom y\n"))
	f.Add([]byte(strings.Replace(good, "; t=", "; l=5; x=1; i=@a.example.org; q=dns/txt; t=", 1)))
	f.Add([]byte("DKIM-Signature: v=1; a=rsa-sha256; b=; bh=;;\r\n\r\n\r"))
	source := zone(f, "ed25519", "")
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(strings.NewReader(string(data)))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		j := m.Judge(context.Background(), Options{Source: source, Now: signedAt.Add(time.Hour)})
		for _, s := range j.Signatures {
			if (s.Result == Pass) != (s.Where == "") || s.Result == "" || len(s.Reason) > 2000 {
				t.Errorf("got %q in %q: %q", s.Result, s.Where, s.Reason)
			}
			if s.Result == Pass && !strings.HasPrefix(s.Identity, "@a.") && s.Domain != "example.org" {
				t.Errorf("a signature of %s passes", s.Domain)
			}
		}
		line := j.AuthenticationResults("mx.example.net")
		if _, _, err := authres.Parse(line); err != nil || strings.ContainsAny(line, "\r\n") {
			t.Errorf("%q: %v", line, err)
		}
		j.Good()
	})
}

// FuzzAgree: go-msgauth, which is another's code, thinks the same of the body
// and of the header.
func FuzzAgree(f *testing.F) {
	source := zone(f, "ed25519", "")
	f.Add([]byte(sign(f, "ed25519", testHeader(), testBody)))
	f.Add([]byte(sign(f, "ed25519", append(testHeader(), dkim.Field{Name: "List-Id", Value: " a\r\n\t<b.c>"}), " x \t y\r\n\r\n z \r\n\r\n")))
	options := msgauth.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
		answer, err := source.Lookup(context.Background(), name, dns.TypeTXT)
		if err != nil {
			return nil, err
		}
		var texts []string
		for _, txt := range answer.TXT() {
			texts = append(texts, txt.Text())
		}
		return texts, nil
	}}
	f.Fuzz(func(t *testing.T, data []byte) {
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		if strings.Contains(text, "\r") {
			return // it takes a bare CR for a line end
		}
		text = strings.ReplaceAll(text, "\n", "\r\n")
		m, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		theirs, err := msgauth.VerifyWithOptions(strings.NewReader(text), &options)
		if err != nil {
			return
		}
		ours := m.Judge(context.Background(), Options{Source: source, Now: time.Now()}).Signatures
		for i, s := range ours {
			if s.length >= 0 || s.Identity != "" || i >= maxSignatures {
				continue // it refuses l=, and knows i= in lower case only
			}
			wrong := s.Where == inBody || s.Where == inHeader
			if s.Result == Pass && theirs[i].Err != nil || wrong && theirs[i].Err == nil {
				t.Errorf("signature %d: %s %s %s; go-msgauth: %v\n%q", i, s.Result, s.Where, s.Reason, theirs[i].Err, text)
			}
		}
	})
}

func FuzzParseReceived(f *testing.F) {
	f.Add(" from mail.example.org (mail.example.org [192.0.2.1])\r\n\tby mx (Postfix)")
	f.Add(" from [IPv6:2001:db8::1] (helo=x) by (((")
	f.Add(" from unknown (HELO x) (192.0.2.1) by y")
	f.Fuzz(func(t *testing.T, value string) {
		c, ok := parseReceived(value)
		if ok != c.ip.IsValid() || ok && (c.ip.Zone() != "" || strings.ContainsAny(c.helo, whiteSpace)) {
			t.Errorf("%q: got %q %v, %v", value, c.helo, c.ip, ok)
		}
	})
}
