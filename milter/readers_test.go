package milter

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"

	"signpost/keystore"
	"signpost/milter/dkim"
)

// readings are the author domains that programs read from a header, by program.
type readings map[string][]string

// A reader says what author domains programs read from a header as it is on the wire.
type reader interface {
	read(t testing.TB, header string) readings
}

// goReader is Go's net/mail.
type goReader struct{}

func (goReader) read(_ testing.TB, header string) readings {
	domains := []string{}
	message, err := mail.ReadMessage(strings.NewReader(header + "\r\n"))
	if err != nil {
		return readings{"go": domains}
	}
	for _, value := range message.Header["From"] {
		list, err := mail.ParseAddressList(value)
		if err != nil {
			continue
		}
		for _, address := range list {
			domains = append(domains, address.Address[strings.LastIndexByte(address.Address, '@')+1:])
		}
	}
	return readings{"go": domains}
}

// script is a program that reads headers in base64 and answers in JSON.
type script struct {
	in   io.Writer
	out  *bufio.Reader
	kill func() error
}

// startScripts starts Python's and Perl's readers, as far as they are installed.
func startScripts(t testing.TB) (all []reader) {
	t.Helper()
	for _, command := range [][]string{
		{"/usr/bin/python3", "testdata/from.py"}, {"/usr/bin/perl", "testdata/from.pl"},
	} {
		if _, err := exec.LookPath(command[0]); err != nil {
			t.Logf("%s is not installed", command[0])
			continue
		}
		cmd := exec.Command(command[0], command[1:]...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
		s := &script{in, bufio.NewReader(out), cmd.Process.Kill}
		if _, err := s.ask(""); err != nil { // a module is missing
			t.Logf("%s: %v", command[1], err)
			continue
		}
		all = append(all, s)
	}
	return all
}

func (s *script) ask(header string) (readings, error) {
	defer time.AfterFunc(time.Minute, func() { _ = s.kill() }).Stop()
	if _, err := fmt.Fprintln(s.in, base64.StdEncoding.EncodeToString([]byte(header))); err != nil {
		return nil, err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var answer readings
	return answer, json.Unmarshal(line, &answer)
}

func (s *script) read(t testing.TB, header string) readings {
	answer, err := s.ask(header + "\r\n")
	if err != nil {
		t.Fatalf("%q: %v", header, err)
	}
	return answer
}

// openDKIM is the milter itself, which signs for whatever domain it reads.
type openDKIM struct{ program, dir string }

func newOpenDKIM(t testing.TB) *openDKIM {
	t.Helper()
	program, err := exec.LookPath("opendkim")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/opendkim"); err != nil {
			t.Fatal("opendkim is missing; hint: sh test/setup.sh tests")
		}
	}
	o := &openDKIM{program, t.TempDir()}
	order := keystore.Order{Domain: "example.com", Selector: "s", Algorithm: keystore.RSA, Bits: 1024}
	if _, err := keystore.Make(o.dir, order); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"keys":    "k %:s:DIR/example.com/s.private\n", // the % is the domain of the author
		"signing": "* k\n",
		"conf": "Mode s\nRequireSafeKeys no\nSyslog no\nSocket local:DIR/socket\n" +
			"KeyTable file:DIR/keys\nSigningTable refile:DIR/signing\n",
	} {
		text = strings.ReplaceAll(text, "DIR", o.dir)
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o.start(t)
	return o
}

// start starts it, also anew: there are fields that make it abort.
func (o *openDKIM) start(t testing.TB) {
	t.Helper()
	socket := filepath.Join(o.dir, "socket")
	_ = os.Remove(socket)
	cmd := exec.Command(o.program, "-f", "-x", filepath.Join(o.dir, "conf"))
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
		select {
		case err := <-ended:
			t.Fatalf("opendkim ended: %v %s", err, &output)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (o *openDKIM) read(t testing.TB, header string) readings {
	domains, err := o.ask(t, header)
	if err != nil {
		t.Logf("%q: opendkim: %v", header, err)
		o.start(t)
	}
	return readings{"opendkim": domains}
}

func (o *openDKIM) ask(t testing.TB, header string) (domains []string, err error) {
	session, err := gomilter.NewClient("unix", filepath.Join(o.dir, "socket")).Session(gomilter.NewMacroBag())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	m := &mta{TB: t, ClientSession: session}
	m.connect("127.0.0.1", 1025)
	m.must(m.Mail("<a@envelope.test>", ""))
	m.must(m.Rcpt("<b@example.net>", ""))
	m.must(m.DataStart())
	for _, field := range wireFields(header) {
		m.must(m.HeaderField(field.Name, field.Value, nil))
	}
	domains = []string{}
	if action, err := m.HeaderEnd(); err != nil || action.Type != gomilter.ActionContinue {
		return domains, err // it has seen enough
	}
	if _, err := m.BodyChunk([]byte("x\r\n")); err != nil {
		return domains, err
	}
	changes, _, err := m.End()
	for _, change := range changes {
		if _, after, found := strings.Cut(change.HeaderValue, " d="); found && change.HeaderName == "DKIM-Signature" {
			domain, _, _ := strings.Cut(after, ";")
			domains = append(domains, domain)
		}
	}
	return domains, err
}

// wireFields takes a header apart as Postfix does, for a milter.
func wireFields(header string) (fields []dkim.Field) {
	for line := range strings.SplitAfterSeq(header, "\n") {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		last := len(fields) - 1
		switch name, value, found := strings.Cut(line, ":"); {
		case last >= 0 && (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")):
			fields[last].Value += "\n" + line
		case found:
			fields = append(fields, dkim.Field{Name: name, Value: value})
		}
	}
	return fields
}

// plain is a domain as two are compared: as A-labels, mapped as programs do. What is no
// domain stays what it is.
func plain(domain string) string {
	domain = strings.Join(strings.Fields(domain), "") // opendkim keeps blanks
	if name, err := keystore.Domain(domain); err == nil {
		return name
	}
	return strings.ToLower(strings.TrimSuffix(domain, "."))
}

// decider decides by the rules of signpostd where there is a key for every domain.
func decider(t testing.TB, keys KeySource) func(header string) Verdict {
	t.Helper()
	server, err := NewServer(Config{
		Keys:   keys,
		Policy: &dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed},
		Log:    discard(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return func(header string) Verdict {
		v, _ := server.Try(Client{Local: true}, wireFields(header), []byte("x\r\n"), "")
		return v
	}
}

// anyKey has a key for every domain.
func anyKey(t testing.TB) KeySource {
	t.Helper()
	one, err := keysFor(t, "example.com").Signing("example.com")
	if err != nil {
		t.Fatal(err)
	}
	return func(domain string) ([]*keystore.Key, error) {
		if _, err := keystore.Domain(domain); err != nil {
			return nil, keystore.ErrNoKey
		}
		key := *one[0]
		key.Domain = domain
		return []*keystore.Key{&key}, nil
	}
}

// mustHold is the promise: what is signed is signed for the domain that every program
// reads that reads any, and what some program reads a domain in is not sent unsigned.
// One label ("Jobs @ Example") is nobody's domain, and a single quote or a dot at the end no
// part of one. What has a bracket or a quote in it is none: the readers' addresses are cut
// at the last @, which is within quotes where Python ends others at a line end.
func mustHold(t testing.TB, header string, v Verdict, read readings) {
	t.Helper()
	for _, reader := range slices.Sorted(maps.Keys(read)) {
		for _, domain := range read[reader] {
			domain = strings.TrimRight(domain, "'.")
			if strings.ContainsAny(domain, `<>"`) {
				continue
			}
			_, err := keystore.Domain(domain)
			switch {
			case v.Reason == Signed && plain(domain) != v.Author && strings.Contains(plain(domain), "."):
				t.Errorf("%q is signed for %s, and %s reads %q", header, v.Author, reader, domain)
			case v.Reason != Signed && v.Action == Accept && err == nil:
				t.Errorf("%q is sent unsigned (%s, %v), and %s reads %q", header, v.Reason, v.Err, reader, domain)
			}
		}
	}
}
