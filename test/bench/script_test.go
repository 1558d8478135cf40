package main

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"signpost/test/lab"
)

// answerTo is a milter's answer to the negotiation.
func answerTo(actions, protocol uint32, macros ...string) []byte {
	b := []byte{0, 0, 0, 6, byte(actions >> 24), byte(actions >> 16), byte(actions >> 8), byte(actions),
		byte(protocol >> 24), byte(protocol >> 16), byte(protocol >> 8), byte(protocol)}
	for _, m := range macros {
		b = append(b, m...)
	}
	return b
}

// frames lists the frames with the start of their payloads.
func frames(t *testing.T, b []byte) (list []string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	var buf []byte
	for {
		command, payload, err := lab.ReadFrame(r, &buf)
		if err != nil {
			return list
		}
		text := fmt.Sprintf("%c %.40q", command, payload)
		if command == 'B' {
			text = fmt.Sprintf("B %d bytes", len(payload))
		}
		list = append(list, text)
	}
}

// What Postfix sent to a milter with these wishes, as captured, but for the
// values.
func TestScriptIsThatOfPostfix(t *testing.T) {
	a, err := parseAgreement(answerTo(0x111, 0x100702))
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(a, mail{fields: []field{{"From", " a@" + domainMark}, {"Subject", "\ttab"}}, body: make([]byte, chunkSize+4)})
	got := frames(t, s.bytes)
	want := []string{
		`D "Cj\x00mta.test\x00{daemon_name}\x00mta.test\x00{daem"`,
		`C "localhost\x004\xb6\x12127.0.0.1\x00"`,
		`D "H"`,
		`A ""`,
		`D "M{mail_addr}\x00bounces@d000000.bench.examp"`,
		`M "<bounces@d000000.bench.example>\x00SIZE=409"`,
		`D "R{rcpt_addr}\x00reader@rcpt.test\x00{rcpt_host"`,
		`R "<reader@rcpt.test>\x00"`,
		`D "Ti\x004bQ000000000\x00"`,
		`D "Li\x004bQ000000000\x00"`,
		`L "From\x00 a@d000000.bench.example\x00"`,
		`D "Li\x004bQ000000000\x00"`,
		`L "Subject\x00\ttab\x00"`,
		`D "Ni\x004bQ000000000\x00"`,
		`N ""`,
		`D "Bi\x004bQ000000000\x00"`,
		`B 65535 bytes`,
		`D "Bi\x004bQ000000000\x00"`,
		`B 4 bytes`,
		`D "Ei\x004bQ000000000\x00"`,
		`E ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := commands(s.open) + " " + commands(s.message); got != "C MRLLNBBE" {
		t.Errorf("replies are awaited to %q", got)
	}
}

func commands(steps []step) (s string) {
	for _, step := range steps {
		s += string(step.command)
	}
	return s
}

func TestScriptHonoursTheMilter(t *testing.T) {
	m := mail{fields: []field{{"From", " a@b.example"}}, body: []byte("x\r\n")}
	for _, test := range []struct {
		name    string
		answer  []byte
		awaited string
		sent    string // what is among the frames
		missing string
	}{
		{"all answered", answerTo(0, leadingSpace), "CH MRTLNBE", `L "From\x00 a@`, ""},
		{"no leading space", answerTo(0, 0), "CH MRTLNBE", `L "From\x00a@`, ""},
		{"none answered", answerTo(0, 0xff080), " E", `T ""`, ""},
		{"nothing wanted", answerTo(0, noConnect|noHelo|noMail|noRcpt|noData|noHeader|noEndOfHeader|noBody), " E", `D "M{mail_addr}`, "L "},
		{"macros asked for", answerTo(maySetMacros, 0, "\x00\x00\x00\x00j {client_addr}\x00", "\x00\x00\x00\x06\x00", "\x00\x00\x00\x02{auth_type},{mail_host}\x00"),
			"CH MRTLNBE", `D "Cj\x00mta.test\x00{client_addr}\x00127.0.0.1\x00"`, "D \"Li"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := parseAgreement(test.answer)
			if err != nil {
				t.Fatal(err)
			}
			s := newScript(a, m)
			if got := commands(s.open) + " " + commands(s.message); got != test.awaited {
				t.Errorf("replies are awaited to %q, want %q", got, test.awaited)
			}
			got := strings.Join(frames(t, s.bytes), "\n")
			if !strings.Contains(got, test.sent) || test.missing != "" && strings.Contains(got, test.missing) {
				t.Errorf("want %s and not %s in\n%s", test.sent, test.missing, got)
			}
			last := s.message[len(s.message)-1]
			if last.end != len(s.bytes) {
				t.Errorf("the last step ends at %d of %d bytes", last.end, len(s.bytes))
			}
		})
	}
}

func TestStampChangesDomainAndID(t *testing.T) {
	a, err := parseAgreement(answerTo(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(a, newMail(1<<10))
	before := len(s.bytes)
	s.stamp(domain(42), queueID(7, 8))
	if bytes.Contains(s.bytes, []byte(domainMark)) || bytes.Contains(s.bytes, []byte(idMark)) || len(s.bytes) != before {
		t.Error("a mark is left, or the length has changed")
	}
	if n := bytes.Count(s.bytes, []byte(domain(42))); n != len(s.domains) || n < 8 {
		t.Errorf("the domain is there %d times of %d", n, len(s.domains))
	}
}

func TestBadAgreements(t *testing.T) {
	for _, bad := range [][]byte{
		nil,
		answerTo(0x200, 0),
		answerTo(0, 0x200000),
		append([]byte{0, 0, 0, 7}, answerTo(0, 0)[4:]...),
		answerTo(maySetMacros, 0, "\x00\x00\x00\x07j\x00"),
		answerTo(maySetMacros, 0, "\x00\x00\x00\x00j"),
	} {
		if _, err := parseAgreement(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func FuzzAgreement(f *testing.F) {
	f.Add(answerTo(maySetMacros, noReplyHeader, "\x00\x00\x00\x00j {client_addr}\x00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		a, err := parseAgreement(payload)
		if err != nil {
			return
		}
		s := newScript(a, mail{body: []byte("x\r\n")})
		if len(s.message) == 0 || s.message[len(s.message)-1].command != 'E' {
			t.Error("the end of the message is not awaited")
		}
	})
}

func FuzzFrame(f *testing.F) {
	f.Add(lab.AppendFrame(nil, 'h', "a\x00b\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		var buf []byte
		for {
			command, payload, err := lab.ReadFrame(r, &buf)
			if err != nil {
				return
			}
			if !bytes.Contains(data, lab.AppendFrame(nil, command, string(payload))) {
				t.Errorf("read %q %q, which was not sent", command, payload)
			}
		}
	})
}
