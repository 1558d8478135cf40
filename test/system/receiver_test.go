package system

import (
	"context"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore/dns"
	"signpost/milter/dkim"
	"signpost/milter/verify"
)

// TestVerifyAgrees proves that what `signpost verify` says of a message is what
// others say: opendkim-testmsg, dkimpy, Mail::DKIM and go-msgauth look at the
// same messages with the same records. Where they differ, the test says why.
func TestVerifyAgrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := &corpus{t: t, rsa: newKey(t, "rsa"), ed: newKey(t, "ed25519"), small: newSmallKey(t), now: time.Now()}
	c.publish(w)
	c.signed()
	c.odd()
	c.edited()
	c.broken()
	c.keys()
	c.tags()

	var messages [][]byte
	for _, j := range c.all {
		messages = append(messages, []byte(j.message))
	}
	passes := make([]map[string]int, len(c.all))
	said := make([][]string, len(c.all))
	for i := range passes {
		passes[i] = make(map[string]int)
	}
	for _, v := range w.judge(messages, w.verifiers()) {
		if v.result == "pass" {
			passes[v.message][v.verifier]++
		}
		said[v.message] = append(said[v.message], v.verifier+": "+v.result)
	}
	resolver, err := dns.At(w.nameserver())
	if err != nil {
		t.Fatal(err)
	}
	resolver = resolver.Remembering()
	for name := range differences {
		if !slices.ContainsFunc(c.all, func(j judged) bool { return j.name == name }) {
			t.Errorf("a difference is listed for %q, which is no message", name)
		}
	}
	for i, j := range c.all {
		t.Run(j.name, func(t *testing.T) {
			message, err := verify.Read(strings.NewReader(j.message))
			if err != nil {
				t.Fatal(err)
			}
			got := message.Judge(context.Background(), verify.Options{Source: resolver, Now: c.now})
			var results []string
			ours, oursRSA := 0, 0
			for _, s := range got.Signatures {
				results = append(results, strings.TrimSpace(string(s.Result)+" "+s.Where))
				if s.Result == verify.Pass {
					ours++
					if strings.HasPrefix(s.Algorithm, "rsa") {
						oursRSA++
					}
				}
			}
			if result := strings.Join(results, ", "); result != j.want && j.want != "" {
				t.Errorf("verify says %q, want %q", result, j.want)
			}
			for _, verifier := range w.verifiers() {
				want := ours
				if verifier.name == "Mail::DKIM" {
					want = oursRSA // does not know Ed25519
				}
				if why := differences[j.name][verifier.name]; why != "" {
					want = 1 - want
				}
				if passes[i][verifier.name] != want {
					t.Errorf("%s passes %d signatures, want %d", verifier.name, passes[i][verifier.name], want)
				}
			}
			if t.Failed() {
				for _, s := range got.Signatures {
					t.Logf("verify: %s %s %s %q", s.Result, s.Where, s.Reason, s.Notes)
				}
				t.Logf("%s\n%.1500s", strings.Join(said[i], "\n"), j.message)
			}
		})
	}
}

var canonicalizations = []dkim.Canonicalization{dkim.Simple, dkim.Relaxed}

// signed adds good messages, from our own signer.
func (c *corpus) signed() {
	for _, h := range canonicalizations {
		for _, b := range canonicalizations {
			policy := &dkim.Policy{Header: h, Body: b}
			name := fmt.Sprintf("%s/%s ", h, b)
			c.add(name+"rsa", "pass", c.sign(policy, corpusHeader(), corpusBody, c.now, "rsa"))
			c.add(name+"ed25519", "pass", c.sign(policy, corpusHeader(), corpusBody, c.now, "ed"))
			c.add(name+"both", "pass, pass", c.sign(policy, corpusHeader(), corpusBody, c.now, "rsa", "ed"))
			c.add(name+"no body", "pass", c.sign(policy, corpusHeader(), "", c.now, "rsa"))
			c.add(name+"only empty lines", "pass", c.sign(policy, corpusHeader(), "\r\n\r\n\r\n", c.now, "rsa"))
			c.add(name+"trailing empty lines", "pass", c.sign(policy, corpusHeader(), "x\r\n\r\n\r\n", c.now, "rsa"))
			c.add(name+"white space", "pass", c.sign(policy, corpusHeader(), "  a \t b  \r\n\t\r\n c\t\r\n", c.now, "rsa"))
			c.add(name+"8-bit", "pass", c.sign(policy, corpusHeader(), "Gr\xfc\xdfe, \xe2\x82\xac\r\n", c.now, "rsa"))
			c.add(name+"long lines", "pass", c.sign(policy, corpusHeader(), strings.Repeat("x", 3000)+"\r\n"+strings.Repeat("y ", 40000)+"\r\n", c.now, "rsa"))
			folded := append(corpusHeader(), dkim.Field{Name: "References", Value: " <1@a>\r\n\t<2@b>\r\n   <3@c>  "}, dkim.Field{Name: "List-Id", Value: ""})
			c.add(name+"folded", "pass", c.sign(policy, folded, corpusBody, c.now, "rsa"))
			// Changes on the way.
			message := c.sign(policy, corpusHeader(), corpusBody, c.now, "rsa")
			want := map[bool]string{true: "pass", false: "fail body"}[b == dkim.Relaxed]
			c.add(name+"space added in the body", want, strings.Replace(message, "hungry yet", "hungry  yet", 1))
			c.add(name+"space added at a line end", want, strings.Replace(message, "yet?\r\n", "yet? \t\r\n", 1))
			c.add(name+"empty line added at the end", "pass", message+"\r\n")
			c.add(name+"word changed", "fail body", strings.Replace(message, "hungry", "angry", 1))
			c.add(name+"footer added", "fail body", message+"-- \r\nA list\r\n")
			c.add(name+"line removed", "fail body", strings.Replace(message, "Joe.\r\n", "", 1))
			want = map[bool]string{true: "pass", false: "fail header"}[h == dkim.Relaxed]
			c.add(name+"space added in the header", want, strings.Replace(message, "Subject: Dinner", "Subject:  Dinner", 1))
			c.add(name+"case of a name changed", want, strings.Replace(message, "Subject: Dinner", "SUBJECT: Dinner", 1))
			c.add(name+"folding added", want, strings.Replace(message, "Date: Fri, 11", "Date: Fri,\r\n 11", 1))
			c.add(name+"Subject changed", "fail header", strings.Replace(message, "Subject: D", "Subject: [list] D", 1))
			c.add(name+"Subject removed", "fail header", strings.Replace(message, "Subject: Dinner\r\n", "", 1))
			c.add(name+"unsigned field added", "pass", "X-Spam: no\r\n"+message)
			c.add(name+"second Subject on top", "fail header", strings.Replace(message, "Received:", "Subject: Win\r\nReceived:", 1))
			c.add(name+"second From below", "fail header", strings.Replace(message, "\r\nTo:", "\r\nFrom: eve@evil.example\r\nTo:", 1))
			c.add(name+"signature twice", "pass, pass", strings.Repeat(message[:strings.Index(message, "Received:")], 2)+message[strings.Index(message, "Received:"):])
		}
	}
}

// odd adds good messages that few send.
func (c *corpus) odd() {
	header := func(fields ...dkim.Field) []dkim.Field { return append(corpusHeader(), fields...) }
	for _, of := range canonicalizations {
		policy := &dkim.Policy{Header: of, Body: of}
		add := func(name string, header []dkim.Field, body string) {
			c.add(fmt.Sprintf("%s: %s", of, name), "pass", c.sign(policy, header, body, c.now, "rsa"))
		}
		add("no final CRLF", corpusHeader(), "x\r\ny")
		add("only white space", corpusHeader(), " \t \r\n \r\n")
		add("only white space, no CRLF", corpusHeader(), "  ")
		add("bare CR", corpusHeader(), "a\rb \r c\r\n\r\r\n")
		add("bare LF", corpusHeader(), "a\nb \n c\r\n\n\r\n")
		add("other controls", corpusHeader(), "a\x00b \x0b \x0c \x7f\x1b \x85\xa0\r\n")
		add("8-bit header", header(dkim.Field{Name: "Cc", Value: " Gr\xc3\xbc\xc3\x9fe <a@example.net>"}, dkim.Field{Name: "Reply-To", Value: " \xa0\xfc\x85 <a@example.net>"}), corpusBody)
		add("space before a colon", header(dkim.Field{Name: "Cc ", Value: " a@example.net"}), corpusBody)
		add("no space after a colon", header(dkim.Field{Name: "Cc", Value: "a@example.net"}), corpusBody)
		add("fold of white space alone", header(dkim.Field{Name: "Cc", Value: "\r\n \t\r\n a@example.net\r\n\t"}), corpusBody)
		add("long field", header(dkim.Field{Name: "Cc", Value: strings.Repeat(" <a@example.net>,\r\n\t", 800) + "b@example.net"}), corpusBody)
		add("many fields", header(slices.Repeat([]dkim.Field{{Name: "X-A", Value: " b"}, {Name: "Comments", Value: " c"}}, 300)...), corpusBody)
		add("repeated fields", header(dkim.Field{Name: "Resent-To", Value: " a@b"}, dkim.Field{Name: "Resent-To", Value: " c@d"}, dkim.Field{Name: "RESENT-TO", Value: " e@f"}), corpusBody)
		add("name with odd characters", header(dkim.Field{Name: "X!#$%&'*+-.^_`|~{}", Value: " x"}), corpusBody)
		add("dots", corpusHeader(), ".\r\n..\r\n.x\r\n")
	}
	lower := c.sign(&dkim.Policy{}, corpusHeader(), corpusBody, c.now, "rsa")
	c.add("name of the field in lower case", "fail header", strings.Replace(lower, "DKIM-Signature", "dkim-signature", 1))
	lower = c.sign(&dkim.Policy{Header: dkim.Relaxed}, corpusHeader(), corpusBody, c.now, "rsa")
	c.add("name of the field in lower case, relaxed", "pass", strings.Replace(lower, "DKIM-Signature", "dkim-signature", 1))
}

// edited adds messages with small changes after signing, good or not: that all
// agree is what counts.
func (c *corpus) edited() {
	const count = 120
	random := mathrand.New(mathrand.NewPCG(6376, 8463))
	pieces := []string{" ", "\t", "\r\n ", "\r\n\t", "x", ":", " \r\n ", "\r\n\r\n", "\xe9"}
	for n := 0; n < count; {
		policy := &dkim.Policy{Header: canonicalizations[n%2], Body: canonicalizations[n/2%2]}
		message := c.sign(policy, corpusHeader(), corpusBody+"\r\n a  b \t \r\n\r\n", c.now, "rsa")
		field, rest := message[:strings.Index(message, "Received:")], message[strings.Index(message, "Received:"):]
		at := random.IntN(len(rest))
		piece := pieces[random.IntN(len(pieces))]
		if at > 0 && rest[at-1] == '\r' {
			continue // a bare CR or LF is another matter
		}
		edited := rest[:at] + piece + rest[at:]
		if c := rest[at]; n%3 == 0 && c != '\r' && c != '\n' {
			edited = rest[:at] + rest[at+1:]
		}
		if _, err := verify.Read(strings.NewReader(edited)); err != nil {
			continue
		}
		n++
		c.add(fmt.Sprintf("edit %d at %d", n, at), "", field+edited)
	}
}

// broken adds what time and the wrong key do.
func (c *corpus) broken() {
	year := 365 * 24 * time.Hour
	expiring := &dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed, Expiration: time.Hour}
	relaxed := &dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed}
	c.add("x= to come", "pass", c.sign(expiring, corpusHeader(), corpusBody, c.now, "rsa"))
	c.add("x= past", "fail time", c.sign(expiring, corpusHeader(), corpusBody, c.now.Add(-year), "rsa"))
	c.add("x= past and the body changed", "fail body", strings.Replace(c.sign(expiring, corpusHeader(), corpusBody, c.now.Add(-year), "rsa"), "Hi.\r\n", "Ho.\r\n", 1))
	c.add("t= in the future", "fail time", c.sign(relaxed, corpusHeader(), corpusBody, c.now.Add(year), "rsa"))
	other := &corpus{t: c.t, rsa: newKey(c.t, "rsa"), ed: newKey(c.t, "ed25519")}
	c.add("another rsa key", "fail key", other.sign(relaxed, corpusHeader(), corpusBody, c.now, "rsa"))
	c.add("another ed25519 key", "fail header", other.sign(relaxed, corpusHeader(), corpusBody, c.now, "ed"))
	good := c.sign(relaxed, corpusHeader(), corpusBody, c.now, "ed")
	bad := other.sign(relaxed, corpusHeader(), corpusBody, c.now, "rsa")
	c.add("one good, one bad", "fail key, pass", bad[:strings.Index(bad, "Received:")]+good)
}

// keys adds a message for each key record.
func (c *corpus) keys() {
	for _, good := range []string{"rsa", "nov", "full", "spaces", "pkcs1", "testing", "strict", "notfirst", "tabs", "unknown"} {
		c.add("key "+good, "pass", c.make(made{selector: good}))
	}
	for _, bad := range []string{"missing", "revoked", "nop", "semicolons", "latin1", "escaped", "quoted", "capitals", "lower", "version", "other", "junk", "notkey", "sha1", "web", "ed", "edshort", "spf"} {
		c.add("key "+bad, "permerror key", c.make(made{selector: bad}))
	}
	c.add("key unpadded", "permerror key", c.make(made{selector: "unpadded", key: c.ed.private, tags: "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=" + receiverDomain + "; s=$s; h=From:Subject; bh=$bh; b="}))
	c.add("key of 512 bits", "policy key", c.make(made{selector: "small", key: c.small}))
}

// tags adds signatures with unusual and with wrong tags.
func (c *corpus) tags() {
	const d = "d=" + receiverDomain + "; s=rsa; "
	usual := "v=1; a=rsa-sha256; c=relaxed/relaxed; " + d + "h=From:Subject; bh=$bh; "
	for name, s := range map[string]made{
		"unknown tag":           {tags: usual + "zz=1; b="},
		"b= first":              {tags: "b=", after: "; " + strings.TrimSuffix(usual, "; ")},
		"semicolon at the end":  {tags: usual + "b=", after: ";"},
		"i= below":              {tags: usual + "i=joe@mail." + receiverDomain + "; b="},
		"i= in capitals":        {tags: usual + "i=@RECEIVER.example; b="},
		"white space":           {tags: strings.NewReplacer("=", " = ", ";", " ;", "From:", "From : ").Replace(usual) + "b ="},
		"q=":                    {tags: usual + "q=dns/txt; b="},
		"q= with more":          {tags: usual + "q=other/way:dns/txt; b="},
		"x= alone":              {tags: usual + "x=99999999999; b="},
		"z=":                    {tags: usual + "z=From:joe|Subject:x; b="},
		"l= of all":             {tags: usual + "l=26; b="},
		"l= of a part":          {tags: usual + "l=5; b=", signed: plainBody[:5]},
		"l= of nothing":         {tags: usual + "l=0; b=", signed: "-"},
		"d= in capitals":        {tags: strings.Replace(usual, "d=r", "d=R", 1) + "b="},
		"h= in capitals":        {tags: strings.Replace(usual, "From:Subject", "FROM:SUBJECT", 1) + "b="},
		"h= with absent fields": {tags: strings.Replace(usual, "h=From:", "h=Nothing:From:", 1) + "b="},
	} {
		c.add("tags: "+name, "pass", c.make(s))
	}
	for name, s := range map[string]made{
		"empty tag":           {tags: strings.Replace(usual, "; ", ";; ", 1) + "b="},
		"v=2":                 {tags: strings.Replace(usual, "v=1", "v=2", 1) + "b="},
		"no v=":               {tags: strings.Replace(usual, "v=1; ", "", 1) + "b="},
		"no h=":               {tags: strings.Replace(usual, "h=From:Subject; ", "", 1) + "b="},
		"no From in h=":       {tags: strings.Replace(usual, "From:", "", 1) + "b="},
		"no d=":               {tags: strings.Replace(usual, "d=receiver.example; ", "", 1) + "b="},
		"no s=":               {tags: strings.Replace(usual, "s=rsa; ", "", 1) + "b="},
		"no bh=":              {tags: strings.Replace(usual, "bh=$bh; ", "", 1) + "b="},
		"no a=":               {tags: strings.Replace(usual, "a=rsa-sha256; ", "", 1) + "b="},
		"empty d=":            {tags: strings.Replace(usual, "d=receiver.example", "d=", 1) + "b="},
		"two d=":              {tags: usual + "d=receiver.example; b="},
		"dot after d=":        {tags: strings.Replace(usual, "d=receiver.example", "d=receiver.example.", 1) + "b="},
		"dot after s=":        {tags: strings.Replace(usual, "s=rsa", "s=rsa.", 1) + "b="},
		"dot after i=":        {tags: usual + "i=joe@receiver.example.; b="},
		"two @ in i=":         {tags: usual + "i=joe@x@receiver.example; b="},
		"space in d=":         {tags: strings.Replace(usual, "d=receiver.", "d=receiver .", 1) + "b="},
		"space in s=":         {tags: strings.Replace(usual, "s=rsa", "s=r sa", 1) + "b="},
		"space in c=":         {tags: strings.Replace(usual, "relaxed/", "relaxed /", 1) + "b="},
		"space in h=":         {tags: strings.Replace(usual, "From:", "Fr om:", 1) + "b="},
		"not UTF-8":           {tags: usual + "zz=\xe9; b="},
		"i= elsewhere":        {tags: usual + "i=joe@example.net; b="},
		"i= of a longer name": {tags: usual + "i=joe@notreceiver.example; b="},
		"c= unknown":          {tags: strings.Replace(usual, "relaxed/relaxed", "nowsp/relaxed", 1) + "b="},
		"q= unknown":          {tags: usual + "q=http; b="},
		"x= before t=":        {tags: usual + "t=1700000000; x=1600000000; b="},
		"x= no number":        {tags: usual + "x=tomorrow; b="},
		"l= no number":        {tags: usual + "l=-1; b="},
		"no =":                {tags: usual + "garbage; b="},
		"bad b=":              {tags: usual + "b=", after: "!!"},
	} {
		c.add("tags: "+name, "neutral syntax", c.make(s))
	}
	c.add("tags: a= unknown", "neutral algorithm", c.make(made{tags: strings.Replace(usual, "rsa-sha256", "rsa-sha512", 1) + "b="}))
	c.add("tags: space in a=", "neutral algorithm", c.make(made{tags: strings.Replace(usual, "rsa-sha256", "rsa -sha256", 1) + "b="}))
	c.add("tags: rsa-sha1", "policy algorithm", c.make(made{tags: strings.Replace(usual, "rsa-sha256", "rsa-sha1", 1) + "b="}))
	c.add("tags: l= over the body", "fail body", c.make(made{tags: usual + "l=1000; b="}))
	c.add("tags: strict key, i= below", "permerror key", c.make(made{tags: strings.Replace(usual, "s=rsa", "s=strict", 1) + "i=@mail.receiver.example; b="}))
}
