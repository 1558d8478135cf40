package system

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/milter/dkim"
)

// A judged is one message of the corpus and what verify must say of it.
type judged struct {
	name    string
	message string
	want    string // result and place of each signature, such as "pass, fail body"; empty: as the others
}

const receiverDomain = "receiver.example"

// corpusHeader is unfolded and has single spaces, so that it is its own relaxed
// form but for the names.
func corpusHeader() []dkim.Field {
	return []dkim.Field{
		{Name: "Received", Value: " from a.receiver.example (a.receiver.example [192.0.2.1]) by b.example"},
		{Name: "From", Value: " Joe <joe@receiver.example>"},
		{Name: "To", Value: " jane@example.net"},
		{Name: "Subject", Value: " Dinner"},
		{Name: "Date", Value: " Fri, 11 Jul 2025 21:00:37 -0700"},
		{Name: "Message-ID", Value: " <1@receiver.example>"},
	}
}

const corpusBody = "Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"

// corpus has the keys that its messages are signed with.
type corpus struct {
	t       testing.TB
	rsa, ed key
	small   *rsa.PrivateKey // 512 bits
	now     time.Time
	all     []judged
}

func (c *corpus) add(name, want, message string) {
	c.all = append(c.all, judged{name, message, want})
}

// publish puts all key records of the corpus into the DNS.
func (c *corpus) publish(w *world) {
	p := func(public crypto.PublicKey) string {
		if ed, ok := public.(ed25519.PublicKey); ok {
			return base64.StdEncoding.EncodeToString(ed)
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			c.t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(der)
	}
	rsaKey, edKey := p(c.rsa.private.Public()), p(c.ed.private.Public())
	pkcs1 := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(c.rsa.private.Public().(*rsa.PublicKey)))
	var zone strings.Builder
	for selector, text := range map[string]string{
		"rsa": "v=DKIM1; k=rsa; p=" + rsaKey, "ed": "v=DKIM1; k=ed25519; p=" + edKey,
		"nov": "p=" + rsaKey, "full": "v=DKIM1; h=sha1:sha256; k=rsa; n=a note; s=*:email; t=; p=" + rsaKey,
		"spaces": " v = DKIM1 ; k = rsa ; p = " + rsaKey[:100] + " " + rsaKey[100:] + " ; ",
		"pkcs1":  "v=DKIM1; k=rsa; p=" + pkcs1, "testing": "v=DKIM1; t=y; p=" + rsaKey, "strict": "v=DKIM1; t=s; p=" + rsaKey,
		"revoked": "v=DKIM1; k=rsa; p=", "nop": "v=DKIM1; k=rsa", "notfirst": "k=rsa; v=DKIM1; p=" + rsaKey,
		"version": "v=DKIM2; k=rsa; p=" + rsaKey, "other": "v=DKIM1; k=dsa; p=" + rsaKey, "junk": "v=DKIM1; k=rsa; p=!!!!",
		"notkey": "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString([]byte("this is no key")),
		"sha1":   "v=DKIM1; h=sha1; p=" + rsaKey, "web": "v=DKIM1; s=web; p=" + rsaKey,
		"small": "v=DKIM1; p=" + p(c.small.Public()), "edshort": "v=DKIM1; k=ed25519; p=" + edKey[:20] + "==", "spf": "v=spf1 -all",
		"semicolons": "v=DKIM1;; k=rsa; p=" + rsaKey, "latin1": "v=DKIM1; n=Schl\xfcssel; p=" + rsaKey, "tabs": "v=DKIM1;\tk=rsa;\tp=" + rsaKey[:50] + "\t" + rsaKey[50:],
		"escaped": `v=DKIM1\; k=rsa\; p=` + rsaKey, "quoted": `"v=DKIM1; k=rsa; p=` + rsaKey + `"`, "unpadded": "v=DKIM1; k=ed25519; p=" + strings.TrimRight(edKey, "="),
		"capitals": "v=DKIM1; k=RSA; p=" + rsaKey, "lower": "v=dkim1; k=rsa; p=" + rsaKey, "unknown": "v=DKIM1; x=1; p=" + rsaKey,
	} {
		fmt.Fprintf(&zone, "%s._domainkey IN TXT", selector)
		for chunk := range slices.Chunk([]byte(text), 200) {
			fmt.Fprintf(&zone, " \"%s\"", strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(chunk)))
		}
		zone.WriteString("\n")
	}
	zone.WriteString("@ IN A 192.0.2.1\n")
	w.dns.Publish(w.t, receiverDomain, zone.String())
}

// sign signs with our own signer; the rest of the message follows the field.
func (c *corpus) sign(policy *dkim.Policy, header []dkim.Field, body string, at time.Time, selectors ...string) string {
	var signatures []dkim.Signature
	for _, selector := range selectors {
		k := c.rsa
		if selector == "ed" {
			k = c.ed
		}
		signatures = append(signatures, dkim.Signature{Domain: receiverDomain, Selector: selector, Key: k.private})
	}
	recipe, err := policy.Compile()
	if err != nil {
		c.t.Fatal(err)
	}
	m := recipe.NewMessage()
	for _, f := range header {
		m.Field([]byte(f.Name), []byte(f.Value))
	}
	if err := m.Begin(signatures...); err != nil {
		c.t.Fatal(err)
	}
	m.Write([]byte(body))
	values, err := m.Sign(at)
	if err != nil {
		c.t.Fatal(err)
	}
	var b strings.Builder
	for _, value := range values {
		b.WriteString("DKIM-Signature:" + value + "\r\n")
	}
	return b.String() + text(header) + "\r\n" + body
}

func text(header []dkim.Field) string {
	var b strings.Builder
	for _, f := range header {
		b.WriteString(f.Name + ":" + f.Value + "\r\n")
	}
	return b.String()
}

// made is a signature with any tags at all, good in itself: relaxed/relaxed
// over From and Subject, on the message of corpusHeader and corpusBody. The
// body must be its own relaxed form.
type made struct {
	tags     string // such as "v=1; a=rsa-sha256; ...; bh=$bh; b=", where $bh is replaced
	selector string // instead of rsa, in the usual tags
	signed   string // of the body, instead of all
	key      crypto.Signer
	after    string // after b=
}

const plainBody = "Hi.\r\n\r\nWe lost the game.\r\n"

func (c *corpus) make(s made) string {
	if s.tags == "" {
		s.tags = "v=1; a=rsa-sha256; c=relaxed/relaxed; d=" + receiverDomain + "; s=$s; h=From:Subject; bh=$bh; b="
	}
	if s.selector == "" {
		s.selector = "rsa"
	}
	if s.signed == "" {
		s.signed = plainBody
	}
	if s.key == nil {
		s.key = c.rsa.private
	}
	newHash, kind := hash.Hash(sha256.New()), crypto.SHA256
	if strings.Contains(s.tags, "rsa-sha1") {
		newHash, kind = sha1.New(), crypto.SHA1
	}
	newHash.Write([]byte(strings.TrimSuffix(s.signed, "-"))) // "-": nothing
	fill := strings.NewReplacer("$bh", base64.StdEncoding.EncodeToString(newHash.Sum(nil)), "$s", s.selector)
	tags := fill.Replace(s.tags)
	s.after = fill.Replace(s.after)
	newHash.Reset()
	fmt.Fprintf(newHash, "from:Joe <joe@receiver.example>\r\nsubject:Dinner\r\ndkim-signature:%s%s", tags, s.after)
	digest := newHash.Sum(nil)
	var b []byte
	var err error
	switch private := s.key.(type) {
	case ed25519.PrivateKey:
		b = ed25519.Sign(private, digest)
	case *rsa.PrivateKey:
		if private.Size() < 128 {
			b = signSmall(private, digest)
		} else {
			b, err = rsa.SignPKCS1v15(rand.Reader, private, kind, digest)
		}
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return "DKIM-Signature: " + tags + base64.StdEncoding.EncodeToString(b) + s.after + "\r\n" + text(corpusHeader()) + "\r\n" + plainBody
}

// newSmallKey makes an RSA key that the library rightly refuses to make.
func newSmallKey(t testing.TB) *rsa.PrivateKey {
	for {
		p, err1 := rand.Prime(rand.Reader, 256)
		q, err2 := rand.Prime(rand.Reader, 256)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		one := big.NewInt(1)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d := new(big.Int).ModInverse(big.NewInt(65537), phi)
		if d != nil && p.Cmp(q) != 0 {
			return &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537}, D: d}
		}
	}
}

func signSmall(key *rsa.PrivateKey, digest []byte) []byte {
	info := []byte("\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20")
	size := key.Size()
	form := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-3-len(info)-len(digest)), []byte{0}, info, digest)
	return new(big.Int).Exp(new(big.Int).SetBytes(form), key.D, key.N).FillBytes(make([]byte, size))
}
