package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"signpost/keystore"
	"signpost/milter"
)

// Every reason that the milter package knows has its sentence, and no two the
// same one.
func TestEveryReasonIsExplained(t *testing.T) {
	reasons := reasonsOf(t, "../../milter")
	if len(reasons) < 9 {
		t.Fatalf("found only the reasons %v", reasons)
	}
	keys, err := keystore.Load(keystore.Options{Dir: t.TempDir()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]milter.Reason)
	for _, reason := range reasons {
		v := milter.Verdict{Reason: reason, Author: "example.org", Err: errors.New("the cause"),
			Keys: []*keystore.Key{{Domain: "example.org"}}}
		e := explainReason(v, milter.Client{Addr: netip.MustParseAddr("192.0.2.1")}, &milter.Signing{}, keys)
		if e.why == "" {
			t.Errorf("reason %s has no explanation", reason)
		}
		if e.hint == "" && reason != milter.Signed {
			t.Errorf("reason %s has no hint", reason)
		}
		if other, taken := said[e.why]; taken {
			t.Errorf("reasons %s and %s have one explanation", reason, other)
		}
		said[e.why] = reason
		if e.setting != "" {
			milter.FindSetting(milter.SigningSettings(), e.setting) // panics when there is none
		}
	}
}

// reasonsOf returns the constants of type Reason in the source of a package.
func reasonsOf(t *testing.T, dir string) (reasons []milter.Reason) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Reason" {
				for _, value := range spec.Values {
					text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					reasons = append(reasons, milter.Reason(text))
				}
			}
			return true
		})
	}
	return reasons
}

func TestParseClient(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1 (jane)", "[2001:db8::1]": "2001:db8::1 (jane)", "IPv6:2001:db8::1": "2001:db8::1 (jane)",
		"local": "local (jane)", "unknown": "unknown (jane)", "mail.example.org": "error", "10.0.0.0/8": "error",
	} {
		client, err := parseClient(text, "jane")
		got := client.String()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestParseLetter(t *testing.T) {
	for name, test := range map[string]struct{ text, fields, body, bodyLine, finding string }{
		"LF":                {"A: 1\nB: 2\n\t3\n\nx\ny\n", "A: 1|B: 2\r\n\t3", "x\r\ny\r\n", "5", ""},
		"CRLF":              {"A: 1\r\nB:\r\n\r\nx\ny\r\n", "A: 1|B:", "x\ny\r\n", "4", ""},
		"header only":       {"A: 1\n", "A: 1", "", "2", "path-header-only"},
		"empty body":        {"A: 1\n\n", "A: 1", "", "3", ""},
		"no final line end": {"A: 1", "A: 1", "", "2", "path-header-only"},
		"no empty line":     {"A: 1\nhello\nB: 2\n", "A: 1", "hello\r\nB: 2\r\n", "2", "path-header-end"},
		"no header":         {"\nhello\n", "", "hello\r\n", "2", ""},
		"mbox":              {"From x Mon Nov  2\nA: 1\n\nx\n", "A: 1", "x\r\n", "4", "path-mbox-line"},
		"name with a space": {"A : 1\n\n", "A : 1", "", "3", ""},
		"mailbox":           {"From x\nA: 1\n\nx\n\nFrom y\nA: 1\n", "error", "", "", ""},
		"empty":             {"", "error", "", "", ""},
		"binary":            {"\x7fELF\x02\x01\x00\x00\n", "error", "", "", ""},
		"fold at the start": {" A: 1\n\n", "error", "", "", ""},
		"text":              {"hello\n", "error", "", "", ""},
	} {
		l, err := parseLetter([]byte(test.text))
		if err != nil {
			if test.fields != "error" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		var fields []string
		for _, f := range l.mail.Header {
			fields = append(fields, f.Name+":"+f.Value)
		}
		finding := ""
		for _, f := range l.findings {
			finding += f.Code
		}
		if got := strings.Join(fields, "|"); got != test.fields || string(l.mail.Body) != test.body ||
			strconv.Itoa(l.mail.BodyLine) != test.bodyLine || finding != test.finding {
			t.Errorf("%s: %q %q line %d %s", name, got, l.mail.Body, l.mail.BodyLine, finding)
		}
	}
}

// A field of a great many lines is not copied at each.
func TestParseLetterIsLinear(t *testing.T) {
	data := []byte("From: a@example.org\r\nX:" + strings.Repeat("\r\n ", 100_000) + "\r\n\r\n")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	l, err := parseLetter(data)
	runtime.ReadMemStats(&after)
	if err != nil || len(l.mail.Header) != 2 || len(l.mail.Header[1].Value) != 300_000 {
		t.Fatalf("%v", err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 64<<20 {
		t.Errorf("%d MB allocated to read %d bytes", used>>20, len(data))
	}
}

// Nothing of a message is lost, whatever it is.
func FuzzParseLetter(f *testing.F) {
	f.Add([]byte("A: 1\r\n\t2\r\n\r\nbody\r\n"))
	f.Add([]byte("From x\nA: 1\n\nbody"))
	f.Add([]byte("A: 1\nno field\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := parseLetter(data)
		if err != nil {
			return
		}
		line := 0
		for _, field := range l.mail.Header {
			if field.Line <= line || strings.ContainsAny(field.Name, "\r\n:") {
				t.Fatalf("field %+v after line %d", field, line)
			}
			line = field.Line
		}
		if l.mail.BodyLine <= line {
			t.Fatalf("the body is at line %d, a field at %d", l.mail.BodyLine, line)
		}
	})
}
