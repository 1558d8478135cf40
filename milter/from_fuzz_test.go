package milter

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// FuzzFrom: whatever a From field says, and a field after it, what is signed is signed for
// the domain that Go, Python and Perl read, and what any of them reads a domain in is not
// sent unsigned. Python and Perl are asked where they are installed.
func FuzzFrom(f *testing.F) {
	for _, c := range readFromTable(f) {
		if len(c.fields) == 1 && strings.HasPrefix(c.fields[0], "From:") {
			f.Add(strings.TrimSuffix(strings.TrimPrefix(c.header(), "From:"), "\r\n"), " Hello")
		}
	}
	for _, subject := range []string{" x\rFrom: a@example.net", " x\r From: a@b.c", " x\r\n From: a@b.c", "\rFROM\t:a@b.c"} {
		f.Add(" a@example.com", subject)
	}
	check := againstReaders(f)
	f.Fuzz(func(t *testing.T, from, subject string) {
		check(t, "From:"+onWire(from)+"\r\nSubject:"+onWire(subject)+"\r\n")
	})
}

// fromTokens are what From fields are made of.
var fromTokens = strings.Split("@|@|@|a|a|.|,|;|:|<|>|(|)|\"|\"|\\| | |\t|\r\n |\r|'|[|]|%|!|/|=|?|-|\x7f|\u00ad|\u00e4|\u3002|\xe4|"+
	"example.com|example.com|example.com|evil.test|evil.test|m@evil.test|a@example.com|<a@example.com>|<m@evil.test>|"+
	"=?utf-8?q?m=40evil.test?=|=?utf-8?b?bUBldmlsLnRlc3Q=?=|\"m@evil.test\"|(m@evil.test)|\"x\"|(x)|x:", "|")

// FuzzFromTokens is FuzzFrom for fields put together of what is found in them: each octet
// chooses a token. It finds more of what programs differ in.
func FuzzFromTokens(f *testing.F) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		choice := make([]byte, 1+random.IntN(12))
		for i := range choice {
			choice[i] = byte(random.Uint32())
		}
		f.Add(choice)
	}
	check := againstReaders(f)
	f.Fuzz(func(t *testing.T, choice []byte) {
		var from strings.Builder
		for _, c := range choice {
			from.WriteString(fromTokens[int(c)%len(fromTokens)])
		}
		check(t, "From: "+onWire(from.String())+"\r\n")
	})
}

// againstReaders returns a check of the promise for a header, with what Go, Python and
// Perl read in it.
func againstReaders(f *testing.F) func(t *testing.T, header string) {
	readers := append(startScripts(f), goReader{})
	always := decider(f, anyKey(f))
	return func(t *testing.T, header string) {
		if len(header) > 4<<10 {
			return
		}
		read := make(readings)
		for _, reader := range readers {
			maps.Copy(read, reader.read(t, header))
		}
		mustHold(t, header, always(header), read)
	}
}

// onWire is the value of a field as Postfix takes it: no NUL, no CR at the end of a line, and
// all its lines but the first begin with a blank.
func onWire(value string) string {
	value = strings.ReplaceAll(strings.ReplaceAll(value, "\x00", ""), "\r\n", "\n")
	var b strings.Builder
	for i, line := range strings.Split(value, "\n") {
		if i > 0 {
			b.WriteString("\r\n")
			if line == "" || line[0] != '\t' {
				b.WriteByte(' ')
			}
		}
		b.WriteString(strings.TrimRight(line, "\r"))
	}
	return b.String()
}
