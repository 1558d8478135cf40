package dkim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"math/big"
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
	"time"
)

func TestSignVerify(t *testing.T) {
	t.Parallel()
	header := append(testHeader(), Field{"Subject", "\t second \n\t gr\u00fc\u00df \xff "}, Field{"Cc", ""})
	body := []byte("Hi.\r\n\r\n We lost \t the game. \r\n Are you hungry yet?\r\n\r\n\r\n")
	for _, h := range []Canonicalization{Simple, Relaxed} {
		for _, b := range []Canonicalization{Simple, Relaxed} {
			policy := &Policy{Header: h, Body: b, Expiration: time.Hour}
			ed, rsa := edSignature(t), rsaSignature(t)
			ed.Policy, rsa.Identity = policy, "joe@mail.example.org"
			values := sign(t, header, body, 3, time.Now(), ed, rsa)
			verify(t, header, body, values[0], ed)
			verify(t, header, body, values[1], rsa)
			for _, value := range values {
				checkWidth(t, value)
				if got := tag(value, "c"); got != h.String()+"/"+b.String() {
					t.Errorf("c=%s, want %s/%s", got, h, b)
				}
			}
			if refVerify(header, append(body, 'x'), values[0], ed.Key.Public()) == nil {
				t.Error("a changed body verifies")
			}
		}
	}
}

// checkWidth wants lines of at most 78 characters, each with something on it.
func checkWidth(t *testing.T, value string) {
	t.Helper()
	if !strings.HasPrefix(value, " v=1; a=") {
		t.Errorf("the value begins %.20q", value)
	}
	for i, line := range strings.Split("DKIM-Signature:"+value, "\r\n") {
		if len(line) > 78 {
			t.Errorf("a line of %d: %s", len(line), line)
		}
		if i > 0 && line[0] != '\t' || strings.TrimSpace(line) == "" || strings.ContainsAny(line, "\r\n") {
			t.Errorf("line %q", line)
		}
	}
}

func TestTags(t *testing.T) {
	t.Parallel()
	now := time.Unix(1700000000, 999_999_999)
	s := rsaSignature(t)
	s.Domain, s.Selector, s.Identity = "Example.ORG", "2026.Mail_1", "J\u00f6 e;@Sub.Example.org"
	s.Policy = &Policy{Relaxed, Simple, []string{"From"}, []string{}, 90*time.Second + time.Millisecond}
	value := sign(t, testHeader(), nil, 1, now, s)[0]
	for name, want := range map[string]string{
		"v": "1", "a": "rsa-sha256", "c": "relaxed/simple", "d": "example.org", "s": "2026.mail_1",
		"i": "J=C3=B6=20e=3B@sub.example.org", "t": "1700000000", "x": "1700000090", "h": "from",
		"bh": "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
		"l":  "", "z": "", "q": "",
	} {
		if got := tag(value, name); got != want {
			t.Errorf("%s=%s, want %s", name, got, want)
		}
	}
	var order []string
	for t := range strings.SplitSeq(value, ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(t), "=")
		order = append(order, name)
	}
	if got := strings.Join(order, " "); got != "v a c d s i t x h bh b" {
		t.Errorf("the order of the tags is %s", got)
	}

	s = edSignature(t)
	s.Domain = "B\u00fccher.example"
	s.Selector = "gr\u00fcn.a"
	value = sign(t, testHeader(), nil, 1, now, s)[0]
	if d, s := tag(value, "d"), tag(value, "s"); d != "xn--bcher-kva.example" || s != "xn--grn-ioa.a" {
		t.Errorf("d=%s s=%s", d, s)
	}
	if a, i, x := tag(value, "a"), tag(value, "i"), tag(value, "x"); a != "ed25519-sha256" || i != "" || x != "" {
		t.Errorf("a=%s i=%s x=%s", a, i, x)
	}
}

// Whatever the lengths of names, lines keep to 78 where they can and verify.
func TestFolding(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("d", 63)
	for n := 1; n <= 63; n += 2 {
		s := edSignature(t)
		s.Domain = label[:n] + ".example"
		s.Selector = label[n/3 : 2*n/3+1]
		s.Identity = strings.Repeat("ab\u00fc=;", n) + "@" + s.Domain
		s.Policy = &Policy{Simple, Simple, []string{"From", "X-" + label[:n], "X-Y", "X-" + label[:n/2] + "b"}, []string{"X-Y", "From", "X-" + label[:n]}, 0}
		header := append(testHeader(), Field{"X-" + label[:n], " x"})
		value := sign(t, header, nil, 1, time.Now(), s)[0]
		checkWidth(t, value)
		verify(t, header, nil, value, s)
	}

	// Names that leave no place to fold make one long line, no longer than
	// the 998 that mail allows.
	s := edSignature(t)
	s.Domain = strings.Repeat(label+".", 3) + "example"
	s.Selector = label[:30]
	value := sign(t, testHeader(), nil, 1, time.Now(), s)[0]
	verify(t, testHeader(), nil, value, s)
	if tag(value, "d") != s.Domain {
		t.Errorf("d=%s", tag(value, "d"))
	}
}

// broken signs badly.
type broken struct {
	public crypto.PublicKey
	sig    []byte
	err    error
}

func (b broken) Public() crypto.PublicKey { return b.public }

func (b broken) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return b.sig, b.err }

func TestSignErrors(t *testing.T) {
	t.Parallel()
	good := edSignature(t)
	m, err := newMessage(testHeader(), []signature{good})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Sign(time.Now()); err != nil {
		t.Fatal(err)
	}
	_, err = m.Sign(time.Now())
	wantError(t, err, "signed already")
	wantError(t, m.Begin(good.Signature), "the header has ended already")
	m.Reset()
	_, err = m.Sign(time.Now())
	wantError(t, err, "the header has not ended")

	for _, c := range []struct {
		key  crypto.Signer
		now  time.Time
		want string
	}{
		{broken{public: good.Key.Public(), err: errors.New("token removed")}, time.Now(), "signing for example.org with selector ed: token removed"},
		{broken{public: good.Key.Public(), sig: make([]byte, 63)}, time.Now(), "the signer gave 63 bytes, not 64"},
		{broken{public: rsaSignature(t).Key.Public(), sig: make([]byte, 64)}, time.Now(), "the signer gave 64 bytes, not 256"},
		{good.Key, time.Unix(-1, 0), "cannot be written in t="},
		{good.Key, time.Unix(maxTime+1, 0), "cannot be written in t="},
	} {
		s := good
		s.Key = c.key
		m, err := newMessage(testHeader(), []signature{s})
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Sign(c.now)
		wantError(t, err, c.want)
	}
}

// A key that fails takes no other signature with it.
func TestSignWithoutOne(t *testing.T) {
	t.Parallel()
	good, bad := edSignature(t), rsaSignature(t)
	bad.Key = broken{public: bad.Key.Public(), err: errors.New("token removed")}
	m, err := newMessage(testHeader(), []signature{bad, good})
	if err != nil {
		t.Fatal(err)
	}
	values, err := m.Sign(time.Now())
	wantError(t, err, "signing for example.org with selector rsa: token removed")
	if len(values) != 2 || values[0] != "" {
		t.Fatalf("got %q", values)
	}
	verify(t, testHeader(), nil, values[1], good)

	// Names that cannot be used are found before, and other ones can be tried.
	m.Reset()
	for _, f := range testHeader() {
		m.Field([]byte(f.Name), []byte(f.Value))
	}
	unnamed := good.Signature
	unnamed.Domain = ""
	if err := m.Begin(good.Signature, unnamed); err == nil {
		t.Fatal("a signature without a domain")
	}
	if err := m.Begin(good.Signature); err != nil {
		t.Fatal(err)
	}
	values, err = m.Sign(time.Now())
	if err != nil || len(values) != 1 {
		t.Fatalf("got %q, %v", values, err)
	}
	verify(t, testHeader(), nil, values[0], good)
}

func TestNewMessageErrors(t *testing.T) {
	t.Parallel()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	short := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1022), E: 65537}
	for want, change := range map[string]func(*signature){
		"there is no key":                 func(s *signature) { s.Key = nil },
		"type *ecdsa.PublicKey":           func(s *signature) { s.Key = p256 },
		"type <nil>":                      func(s *signature) { s.Key = broken{} },
		"has 1023 bits":                   func(s *signature) { s.Key = broken{public: short} },
		"has 31 bytes":                    func(s *signature) { s.Key = broken{public: make(ed25519.PublicKey, 31)} },
		`signing domain "": it has an em`: func(s *signature) { s.Domain = "" },
		`selector "": it has an empty`:    func(s *signature) { s.Selector = "" },
		"it has no @":                     func(s *signature) { s.Identity = "joe" },
		"neither example.org nor below":   func(s *signature) { s.Identity = "@notexample.org" },
		"its domain is not valid":         func(s *signature) { s.Identity = "joe@" },
		"has control characters":          func(s *signature) { s.Identity = "j\r\noe@example.org" },
		"DNS cannot hold it": func(s *signature) {
			s.Selector = strings.Repeat("a.", 116) + "a"
		},
	} {
		s := edSignature(t)
		change(&s)
		_, err := newMessage(testHeader(), []signature{edSignature(t), s})
		wantError(t, err, want)
	}
	_, err = newMessage(testHeader()[2:], []signature{edSignature(t)})
	wantError(t, err, "no From field")
	_, err = newMessage(nil, []signature{edSignature(t)})
	wantError(t, err, "no From field")
	_, err = (&Policy{Sign: []string{}}).Compile()
	wantError(t, err, "field From is not to be signed")
}

// wantError wants one line that has want in it and a hint.
func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(finding.Text(err), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %v, want %q", err, want)
	}
	if err != nil && !strings.Contains(finding.Text(err), "; hint: ") && !strings.Contains(want, "token removed") {
		t.Errorf("error %q has no hint", err)
	}
}

// A message that is used again signs as a new one does, whatever came before.
func TestReset(t *testing.T) {
	t.Parallel()
	ed, rsa := edSignature(t), rsaSignature(t)
	now := time.Unix(1700000000, 0)
	header := append(testHeader(), Field{"Subject", " second"}, Field{"Cc", ""})
	body := []byte("Hi. \r\n\r\n")
	for _, policy := range []*Policy{{}, {Header: Relaxed, Body: Relaxed}} {
		ed.Policy, rsa.Policy = policy, policy
		want := sign(t, header, body, 3, now, rsa, ed)
		m, err := newMessage(testHeader()[1:3], []signature{ed})
		if err != nil {
			t.Fatal(err)
		}
		broken := ed
		broken.Domain = ""
		for name, before := range map[string]func(){
			"nothing":              func() {},
			"part of a header":     func() { m.Field([]byte("From"), []byte(" b@example.org")) },
			"a large header":       func() { _ = m.begin(slices.Repeat(header, 5000), []signature{ed}) },
			"a signature at fault": func() { _ = m.begin(header, []signature{ed, broken}) },
			"part of a body":       func() { _ = m.begin(header, []signature{ed}); _, _ = m.Write([]byte("x \r")) },
			"a whole message": func() {
				_ = m.begin(header, []signature{rsa, rsa, rsa})
				_, _ = m.Write([]byte("x\r\n\r\n"))
				_, _ = m.Sign(now)
			},
		} {
			m.Reset()
			before()
			m.Reset()
			if err := m.begin(header, []signature{rsa, ed}); err != nil {
				t.Fatal(err)
			}
			for chunk := range chunks(body, 2) {
				_, _ = m.Write(chunk)
			}
			got, err := m.Sign(now)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("after %s: error %v, got %q, want %q", name, err, got, want)
			}
		}
	}
}

// What a message takes for itself does not grow with its number.
func TestMessageAllocatesLittle(t *testing.T) {
	ed := edSignature(t)
	m, err := newMessage(testHeader(), []signature{ed})
	if err != nil {
		t.Fatal(err)
	}
	header, body := testHeader(), []byte(strings.Repeat("one line\r\n", 1000))
	var names, values [][]byte
	for _, f := range header {
		names, values = append(names, []byte(f.Name)), append(values, []byte(f.Value))
	}
	n := testing.AllocsPerRun(100, func() {
		m.Reset()
		for i := range names {
			m.Field(names[i], values[i])
		}
		if err := m.Begin(ed.Signature); err != nil {
			t.Fatal(err)
		}
		_, _ = m.Write(body)
		if _, err := m.Sign(time.Now()); err != nil {
			t.Fatal(err)
		}
	})
	// The value and the list of it, the hash and what it is written as, the
	// arguments of Begin and of the signer.
	if n > 12 {
		t.Errorf("%v allocations a message", n)
	}
	t.Logf("%v allocations a message", n)
}
