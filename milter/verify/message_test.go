package verify

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"signpost/milter/dkim"
	"signpost/milter/message"
)

func TestReadRefuses(t *testing.T) {
	for message, want := range map[string]string{
		"":                             "it is empty",
		"\x1f\x8b\x08\x00rest":         "gzip",
		"PK\x03\x04rest":               "zip archive",
		"\xff\xfeF\x00r\x00":           "UTF-16",
		"\r\nFrom: a@b\r\n":            "line 1 is empty",
		"Hello there\r\n":              `line 1 is not a header field, so this is not a message: "Hello there"`,
		"From: a@b\r\nHello there\r\n": `line 2 is neither a header field nor the empty line that ends the header: "Hello there"`,
		" folded\r\n":                  "line 1 is not a header field",
		"From: a\x00b\r\n":             "line 1: a NUL byte",
		"From: a\r\nX: " + strings.Repeat("x", message.MaxHeader): "line 2: the header is longer than",
		strings.Repeat("X: y\r\n", message.MaxHeader/6+1):         "the header is longer than",
		"\x7fELF\x02\x01\x01\n\x00":                               "line 1 is not a header field, so this is not a message: \"\\x7fELF",
		"From a@b Sun Nov 22\n":                                   "only the \"From \" line of an mbox",
		"From: a\r\nS\xc3\xbcbject: x\r\n":                        "line 2",
	} {
		_, err := Read(strings.NewReader(message))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q", message, err, want)
		}
	}
	if _, err := Read(io.MultiReader(strings.NewReader("From: a@b\r\n\r\nx\r\ny"), iotest.ErrReader(io.ErrClosedPipe))); err == nil || !strings.Contains(err.Error(), "closed pipe") {
		t.Errorf("got %v, want the error of the reader", err)
	}
}

// However a message was saved, it verifies.
func TestReadAsSaved(t *testing.T) {
	message := sign(t, "ed25519", testHeader(), testBody+"\r\nFrom me.\r\n"+strings.Repeat("x", 200_000)+"\r\n")
	lf := strings.ReplaceAll(message, "\r\n", "\n")
	for name, test := range map[string]struct{ saved, note string }{
		"CRLF":            {message, ""},
		"LF":              {lf, "lines end in LF"},
		"CRLF in LF":      {strings.Replace(lf, "hungry yet?\n", "hungry yet?\r\n", 1), "lines end in LF"},
		"no final LF":     {strings.TrimSuffix(lf, "\n"), "lines end in LF"},
		"mbox":            {"From joe@example.org Sun Nov 22 20:00:00 2026\n" + lf, "the separator of an mbox"},
		"byte order mark": {"\xef\xbb\xbf" + message, "a byte order mark"},
	} {
		want := Pass
		if name == "mbox" {
			want = Fail // "From me" after an empty line begins another message there
		}
		j := judge(t, test.saved, Options{Source: zone(t, "ed25519", "")})
		if j.Signatures[0].Result != want {
			t.Errorf("%s: got %s, %s", name, j.Signatures[0].Result, j.Signatures[0].Reason)
		}
		if notes := strings.Join(j.Notes, "\n"); !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
			t.Errorf("%s: got notes %q", name, j.Notes)
		}
	}
	// A chunk of any size may come from a pipe.
	m, err := Read(iotest.OneByteReader(strings.NewReader(lf)))
	if err != nil {
		t.Fatal(err)
	}
	if j := m.Judge(context.Background(), Options{Source: zone(t, "ed25519", ""), Now: signedAt}); j.Signatures[0].Result != Pass {
		t.Errorf("byte by byte: got %s", j.Signatures[0].Reason)
	}
}

func TestMbox(t *testing.T) {
	one := strings.ReplaceAll(sign(t, "ed25519", testHeader(), testBody+"From me.\r\n"), "\r\n", "\n")
	j := judge(t, "From joe@example.org Sun Nov 22 20:00:00 2026\n"+one+"\nFrom eve@example.net Sun Nov 22 20:00:00 2026\nFrom: eve@example.net\n\nx\n", Options{Source: zone(t, "ed25519", "")})
	if j.Signatures[0].Result != Pass {
		t.Errorf("got %s", j.Signatures[0].Reason)
	}
	if !strings.Contains(strings.Join(j.Notes, "\n"), "another message begins in this mbox") {
		t.Errorf("got notes %q", j.Notes)
	}
	if j.SPF.Envelope.MailFrom != "joe@example.org" {
		t.Errorf("got MAIL FROM %q", j.SPF.Envelope.MailFrom)
	}
}

func TestReadNotes(t *testing.T) {
	for message, want := range map[string]string{
		"From: a@example.org\r\n":                  "within the header",
		"From: a@example.org\r\n\r\na\r\n\x00\r\n": "line 4: a NUL byte",
		"From: a@example.org\r\n\r\na\r\nb\rc\r\n": "line 4: a CR or LF by itself",
		"From: a@example.org\r\n\r\na\nb\r\n":      "line 3: a CR or LF by itself",
		"From: a@example.org\r\n\r\na\r\r\n":       "line 3: a CR or LF by itself",
	} {
		j := judge(t, message, Options{Source: zone(t, "ed25519", "")})
		if !strings.Contains(strings.Join(j.Notes, "\n"), want) {
			t.Errorf("%q: got notes %q, want %q", message, j.Notes, want)
		}
	}
}

// A message of any length takes the same memory: after the first lines, at whose
// ends it may have been signed, nothing is allocated any more.
func TestReadLong(t *testing.T) {
	head := "From: a@example.org\r\nDKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s1; h=from; bh=AAAA; b=AAAA\r\n\r\n"
	allocations := func(lines int64) float64 {
		return testing.AllocsPerRun(1, func() {
			body := io.LimitReader(&repeated{text: strings.Repeat("x", 98) + "\r\n"}, 100*lines)
			if _, err := Read(io.MultiReader(strings.NewReader(head), body)); err != nil {
				t.Fatal(err)
			}
		})
	}
	if short, long := allocations(maxEnds), allocations(5*maxEnds); long > short+100 {
		t.Errorf("%v allocations, %v for a longer message", short, long)
	}
}

type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	return n, nil
}

// What a message can cost is bounded: a header of a great many lines is not
// copied at each, and addresses are not compared with each other.
func TestReadIsLinear(t *testing.T) {
	allocated := func() uint64 {
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.TotalAlloc
	}
	before := allocated()
	m, err := Read(strings.NewReader("From: a@example.org\r\nX:" + strings.Repeat("\r\n ", 300_000) + "\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(m.text.Fields[1].Value); got != 900_000 {
		t.Errorf("the folded field has %d bytes", got)
	}
	if used := allocated() - before; used > 64<<20 {
		t.Errorf("%d MB allocated to read 1 MB", used>>20)
	}
	var from strings.Builder
	for i := range 80_000 {
		fmt.Fprintf(&from, "a@%x.co,", i)
	}
	_, err = authorDomain([]message.Field{{Field: dkim.Field{Name: "From", Value: from.String()}, Line: 1}})
	if err == nil || len(err.Error()) > 200 {
		t.Errorf("got an error of %d bytes", len(fmt.Sprint(err)))
	}
}
