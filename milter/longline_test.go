package milter

import (
	"slices"
	"strings"
	"sync"
	"testing"

	gomilter "github.com/d--j/go-milter"

	"signpost/milter/dkim"
)

// What breaks a signature on delivery is logged and told to the observer, once a
// message; what only looks so is not.
func TestLongLinesAreLogged(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1200)
	for name, test := range map[string]struct {
		canonicalization string
		field, body      string
		want             string // in the log, "" for no warning
	}{
		"short":              {"relaxed/relaxed", "X-Other: 1", "hello\r\n", ""},
		"998 in the body":    {"simple/simple", "X-Other: 1", long[:998] + "\r\n", ""},
		"999 in the body":    {"relaxed/relaxed", "X-Other: 1", "one\r\ntwo\r\n" + long[:999] + "\r\n", "line=3 octets=999 "},
		"the first counts":   {"relaxed/relaxed", "X-Other: 1", "one\r\n" + long + "\r\n" + long + long + "\r\n", "line=2 octets=1200 "},
		"blanks at the end":  {"relaxed/relaxed", "X-Other: 1", "one" + strings.Repeat(" ", 1200) + "\r\n\r\n", ""},
		"simple blanks":      {"relaxed/simple", "X-Other: 1", "one" + strings.Repeat(" ", 1200) + "\r\n\r\n", "line=1 octets=1203 "},
		"unended":            {"relaxed/simple", "X-Other: 1", long[:998], "line=1 octets=998 "},
		"signed field":       {"relaxed/relaxed", "References: " + long, "hello\r\n", "field=References octets=1212 "},
		"unsigned field":     {"relaxed/relaxed", "X-Other: " + long, "hello\r\n", ""},
		"folded":             {"simple/simple", "References: " + long[:900] + "\n\t" + long[:900], "hello\r\n", ""},
		"broken at a blank":  {"relaxed/relaxed", "References: " + strings.Repeat("x ", 600), "hello\r\n", ""},
		"simple at a blank":  {"simple/relaxed", "References: " + strings.Repeat("x ", 600), "hello\r\n", "field=References octets=1212 "},
		"header before body": {"relaxed/relaxed", "References: " + long, long + "\r\n", "field=References octets=1212 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var seen []*LongLine
			p := newPost(t, func(c *Config) {
				c.Policy.Header, c.Policy.Body, _ = dkim.ParseCanonicalization(test.canonicalization)
				c.Observe = func(o *Outcome) {
					mu.Lock()
					defer mu.Unlock()
					seen = append(seen, o.Long)
				}
			})
			m := p.session()
			m.begin(append(hello, test.field)...)
			if signatures, _ := m.end(test.body); len(signatures) != 1 {
				t.Fatalf("%d signatures", len(signatures))
			}
			m.begin(hello...) // what was found of one message is not said of the next
			if signatures, _ := m.end("short\r\n"); len(signatures) != 1 {
				t.Fatalf("%d signatures", len(signatures))
			}
			warned := slices.DeleteFunc(strings.Split(p.log.String(), "\n"), func(line string) bool {
				return !strings.Contains(line, "a line is too long")
			})
			if test.want == "" && len(warned) != 0 || test.want != "" && (len(warned) != 1 || !strings.Contains(warned[0], test.want)) {
				t.Errorf("log %q, want one line with %q", warned, test.want)
			}
			mu.Lock()
			defer mu.Unlock()
			if len(seen) != 2 || (seen[0] != nil) != (test.want != "") || seen[1] != nil {
				t.Errorf("observed %v", seen)
			}
		})
	}
}

// Mail whose signature breaks later can be refused or deferred; other mail of the
// connection is signed.
func TestLongLinesCanBeRefused(t *testing.T) {
	t.Parallel()
	for action, want := range map[Action]struct {
		code       uint16
		reply, log string
	}{
		TempFail: {451, "4.6.0 a line of the body has 999 octets, and Postfix breaks lines over 998 after signing", "deferred, for a line is too long"},
		Reject:   {550, "5.6.0 a line of the body has 999 octets, and Postfix breaks lines over 998 after signing", "refused, for a line is too long"},
	} {
		p := newPost(t, func(c *Config) { c.Rules.LongLines = action })
		m := p.session()
		m.begin(hello...)
		signatures, got := m.end("one\r\n" + strings.Repeat("x", 999) + "\r\n")
		if len(signatures) != 0 || got.SMTPCode != want.code || !strings.Contains(got.SMTPReply, want.reply) {
			t.Errorf("%d signatures and %v, want %v", len(signatures), got, want)
		}
		p.log.await(t, "level=ERROR", want.log, "reason=line-too-long", "line=2", "octets=999", "hint=")
		p.mustSign(m, hello, strings.Repeat("x", 998)+"\r\n")
		m.begin("From: a@other.example")
		if _, got := m.end(strings.Repeat("x", 999) + "\r\n"); got.Type != gomilter.ActionAccept {
			t.Errorf("mail that is not signed anyway: %v", got)
		}
		if counted := p.Counters().Messages(); counted[LineTooLong] != 1 || counted[Signed] != 1 {
			t.Errorf("counted %v", counted)
		}
	}
}
