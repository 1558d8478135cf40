package compose_test

import (
	"bytes"
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"

	"blitiri.com.ar/go/spf"
	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-msgauth/dmarc"

	"signpost/test/lab"
)

// verifies lets other people's programs judge the signature of a message: OpenDKIM, dkimpy and
// Mail::DKIM, each of which asks the name server of the test.
func (s *single) verifies(d lab.Delivery) {
	s.t.Helper()
	s.write("received.eml", string(d.Data))
	path := filepath.Join(s.dir, "received.eml")
	s.output(s.inWorld("sh", "-c", `opendkim-testmsg <"$1"`, "sh", path))
	for _, command := range [][]string{
		{"/usr/bin/python3", "../system/testdata/dkimpy.py"}, {"/usr/bin/perl", "../system/testdata/mail-dkim.pl"},
	} {
		script, err := filepath.Abs(command[1])
		if err != nil {
			s.t.Fatal(err)
		}
		want := strings.Join([]string{path, "feedsubscription.com", "mail", "rsa-sha256", "pass"}, "\t")
		if got := s.output(s.inWorld(command[0], script, path)); got != want {
			s.t.Errorf("%s says %q, want %q of\n%s", command[0], got, want, d.Data)
		}
	}
}

// inWorld prepares a program that finds the name server of the test in /etc/resolv.conf.
func (s *single) inWorld(args ...string) *exec.Cmd {
	return s.command("unshare", append([]string{"-m", "sh", "-c", `mount --bind resolv.conf /etc/resolv.conf && exec "$@"`, "sh"}, args...)...)
}

// isSigned evaluates DKIM in process, for many messages.
func (s *single) isSigned(d lab.Delivery) {
	s.t.Helper()
	lookup := func(name string) ([]string, error) { return s.resolver().LookupTXT(context.Background(), name) }
	signatures, err := dkim.VerifyWithOptions(bytes.NewReader(d.Data), &dkim.VerifyOptions{LookupTXT: lookup})
	if err != nil || len(signatures) != 1 || signatures[0].Err != nil || signatures[0].Domain != "feedsubscription.com" {
		s.t.Errorf("signatures: %+v, %v, of\n%s", signatures, err, d.Data)
	}
}

func (s *single) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, s.gateway+":53")
	}}
}

// passesPolicy evaluates SPF (RFC 7208) for a message that came from address, and DMARC (RFC 7489,
// section 3): both DKIM and SPF pass, for the domain of From.
func (s *single) passesPolicy(d lab.Delivery, address string) {
	s.t.Helper()
	s.isSigned(d)
	if d.Client != address {
		s.t.Errorf("the message came from %s, want %s", d.Client, address)
	}
	result, err := spf.CheckHostWithSender(net.ParseIP(d.Client), d.Helo, d.From, spf.WithResolver(s.resolver()))
	if result != spf.Pass || !strings.HasSuffix(d.From, "@feedsubscription.com") {
		s.t.Errorf("SPF for %s from %s: %s, %v", d.From, d.Client, result, err)
	}
	_, err = dmarc.LookupWithOptions("feedsubscription.com", &dmarc.LookupOptions{LookupTXT: func(name string) ([]string, error) {
		return s.resolver().LookupTXT(context.Background(), name)
	}})
	if err != nil {
		s.t.Errorf("the DMARC record: %v", err)
	}
}
