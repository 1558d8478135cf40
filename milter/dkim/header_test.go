package dkim

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHeaderFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field           Field
		relaxed, simple string
	}{
		{Field{"Subject", " x"}, "subject:x", "Subject: x"},
		{Field{"Subject", "x"}, "subject:x", "Subject:x"},
		{Field{"Subject", ""}, "subject:", "Subject:"},
		{Field{"Subject", "  \t "}, "subject:", "Subject:  \t "},
		{Field{"SUBJect \t", "\tx\t"}, "subject:x", "SUBJect \t:\tx\t"},
		{Field{"Subject", " a\n b"}, "subject:a b", "Subject: a\r\n b"},
		{Field{"Subject", " a\r\n b"}, "subject:a b", "Subject: a\r\n b"},
		{Field{"Subject", " a \n\t b\t\r\n  c"}, "subject:a b c", "Subject: a \r\n\t b\t\r\n  c"},
		{Field{"Subject", "\n a"}, "subject:a", "Subject:\r\n a"},
		{Field{"Subject", " a\n "}, "subject:a", "Subject: a\r\n "},
		{Field{"Subject", " a\n \n\t\n b"}, "subject:a b", "Subject: a\r\n \r\n\t\r\n b"},
		{Field{"Subject", " a\rb\r c\r"}, "subject:a\rb\r c\r", "Subject: a\rb\r c\r"},
		{Field{"Subject", " a\r\r\n b"}, "subject:a\r b", "Subject: a\r\r\n b"},
		{Field{"Subject", " a\v\f b:c"}, "subject:a\v\f b:c", "Subject: a\v\f b:c"},
		{Field{"Subject", " gr\u00fc\u00df\u00a0 \xff"}, "subject:gr\u00fc\u00df\u00a0 \xff", "Subject: gr\u00fc\u00df\u00a0 \xff"},
		{Field{"\u00c4\xffA\x00", "\x00"}, "\u00c4\xffa\x00:\x00", "\u00c4\xffA\x00:\x00"},
		{Field{"", ""}, ":", ":"},
	} {
		if got := string(appendField(nil, Relaxed, c.field.Name, c.field.Value)); got != c.relaxed {
			t.Errorf("relaxed %q: got %q, want %q", c.field, got, c.relaxed)
		}
		if got := string(appendField(nil, Simple, c.field.Name, c.field.Value)); got != c.simple {
			t.Errorf("simple %q: got %q, want %q", c.field, got, c.simple)
		}
		if got := refField(Relaxed, c.field); got != c.relaxed {
			t.Errorf("reference, relaxed %q: got %q, want %q", c.field, got, c.relaxed)
		}
		if got := refField(Simple, c.field); got != c.simple {
			t.Errorf("reference, simple %q: got %q, want %q", c.field, got, c.simple)
		}
	}
}

func TestSelection(t *testing.T) {
	t.Parallel()
	from := Field{"From", " a@example.org"}
	for _, c := range []struct {
		name           string
		header         []Field
		sign, oversign []string
		want           string // h=
	}{
		{"only From", []Field{from}, nil, []string{}, "from"},
		{"default", []Field{from}, nil, nil,
			"from:from:reply-to:subject:date:to:cc:mime-version:content-type:content-transfer-encoding"},
		{"order of the list", testHeader(), []string{"To", "from", "Subject", "X-None"}, []string{"FROM"}, "to:from:from:subject"},
		{"repeated", []Field{{"To", "1"}, from, {"tO", "2"}, from}, []string{"From", "To"}, []string{"To"}, "from:from:to:to:to"},
		{"default oversigned only where signed", []Field{from}, []string{"From", "X-Mine"}, nil, "from:from"},
		{"name with a blank", []Field{{"From ", " a@example.org"}}, []string{"From"}, []string{}, "from"},
		{"odd names", []Field{{"", ""}, {"\x00", ""}, {"\xff:;", ""}, {" ", ""}, from}, []string{"From"}, []string{}, "from"},
		{"never listed", []Field{{"Received", ""}, {"DKIM-Signature", ""}, {"Return-Path", ""}, from}, nil, []string{}, "from"},
	} {
		s := edSignature(t)
		s.Policy = &Policy{Sign: c.sign, Oversign: c.oversign}
		values := sign(t, c.header, nil, 1, time.Now(), s)
		if got := tag(values[0], "h"); got != c.want {
			t.Errorf("%s: h=%s, want %s", c.name, got, c.want)
		}
		if err := refVerify(c.header, nil, values[0], s.Key.Public()); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A field that is added, moved or changed must be noticed, or not, as RFC
// 6376, section 5.4.2, has it.
func TestRepeatedFields(t *testing.T) {
	t.Parallel()
	one, two := Field{"To", " 1"}, Field{"To", " 2"}
	from, added := Field{"From", " a@example.org"}, Field{"To", " evil"}
	open, closed := edSignature(t), edSignature(t)
	open.Policy = &Policy{Relaxed, Relaxed, nil, []string{}, 0}
	for _, c := range []struct {
		name         string
		received     []Field
		open, closed bool // verifies without and with oversigning
	}{
		{"as sent", []Field{from, one, two}, true, true},
		{"From moved", []Field{one, two, from}, true, true},
		{"trace added", []Field{{"Received", " x"}, from, one, two}, true, true},
		{"swapped", []Field{from, two, one}, false, false},
		{"changed", []Field{from, one, added}, false, false},
		{"removed", []Field{from, two}, false, false},
		{"added above", []Field{added, from, one, two}, true, false},
		{"added below", []Field{from, one, two, added}, false, false},
	} {
		for _, v := range []struct {
			s    signature
			want bool
		}{{open, c.open}, {closed, c.closed}} {
			value := sign(t, []Field{from, one, two}, nil, 1, time.Now(), v.s)[0]
			if got := refVerify(c.received, nil, value, v.s.Key.Public()) == nil; got != v.want {
				t.Errorf("%s: reference verifies: %t, want %t", c.name, got, v.want)
			}
			if got := msgauthVerify(c.received, nil, value, v.s) == nil; got != v.want {
				t.Errorf("%s: go-msgauth verifies: %t, want %t", c.name, got, v.want)
			}
		}
	}
}

func TestLargeHeaders(t *testing.T) {
	t.Parallel()
	from := Field{"From", " a@example.org"}
	body := []byte("x\r\n")
	for _, header := range [][]Field{
		{from, {"Subject", strings.Repeat(" 0123456\n", 1<<18/9) + " end"}},
		{from, {"Subject", strings.Repeat("x", 1<<18)}},
		{from, {"Subject", "a" + strings.Repeat(" \t", 1<<17) + "b"}},
		{from, {"Subject", strings.Repeat("\n ", 1<<17)}},
		append(slices.Repeat([]Field{{"X-Some", " thing"}}, 20_000), from),
		append(slices.Repeat([]Field{{"To", " b@example.org"}}, 1000), from),
	} {
		for _, c := range []Canonicalization{Simple, Relaxed} {
			s := edSignature(t)
			s.Policy = &Policy{Header: c}
			value := sign(t, header, body, 1, time.Now(), s)[0]
			checkWidth(t, value)
			if err := refVerify(header, body, value, s.Key.Public()); err != nil {
				t.Errorf("%d fields: %v", len(header), err)
			}
		}
	}

	// The reference looks for each name in the whole header: too slow here.
	many := append(slices.Repeat([]Field{{"To", " b@example.org"}}, 100_000), from)
	value := sign(t, many, nil, 1, time.Now(), edSignature(t))[0]
	if got := strings.Count(tag(value, "h"), "to:"); got < 100_001 {
		t.Errorf("%d names for 100000 fields", got)
	}
	checkWidth(t, value)
}
