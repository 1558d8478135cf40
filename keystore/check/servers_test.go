package check

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// A host without IPv6 cannot ask a name server that has it, and that is no
// fault of the server.
func TestNoWayToANameServer(t *testing.T) {
	t.Parallel()
	server := dns.NameServer{Name: "ns1.clean.test", Addr: "[2001:db8::53]:53"}
	for _, cause := range []error{syscall.ENETUNREACH, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		var s section
		new(audit).serverFailed(&s, dns.Reply{Server: server, Err: &dns.LookupError{Name: "clean.test", Type: "TXT", Server: server.Addr, Kind: dns.Unreachable, Err: cause}})
		if len(s.findings) != 1 || s.findings[0].Code != "dns-server-not-asked" || s.findings[0].Level != finding.Note || s.findings[0].Name != "ns1.clean.test (2001:db8::53)" {
			t.Errorf("%v: got %+v", cause, s.findings)
		}
	}
	// Nobody listening is the server's.
	var s section
	new(audit).serverFailed(&s, dns.Reply{Server: server, Err: &dns.LookupError{Server: server.Addr, Kind: dns.Unreachable, Err: syscall.ECONNREFUSED}})
	if len(s.findings) != 1 || s.findings[0].Code != "dns-server-unreachable" || s.findings[0].Level != finding.Warning {
		t.Errorf("got %+v", s.findings)
	}
}

// Whatever else keeps a question from being answered is unknown too.
func TestFailureOfAnotherKind(t *testing.T) {
	t.Parallel()
	var s section
	s.failed("clean.test", errors.New("out of files"), "nothing is known")
	if len(s.findings) != 1 || s.findings[0].Code != "dns-failed" || s.findings[0].Level != finding.Unknown {
		t.Errorf("got %+v", s.findings)
	}
}

func TestBrokenKeyFiles(t *testing.T) {
	t.Parallel()
	resolver := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)})
	good := cleanKeys(t)
	dir := filepath.Dir(filepath.Dir(good.Keys("clean.test")[0].File))
	if err := os.WriteFile(filepath.Join(dir, "clean.test", "s2.private"), []byte("no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := keystore.Load(keystore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	report := Domain(t.Context(), options(resolver, keys), "clean.test")
	if !slices.Equal(codes(report), []string{"dkim-key-broken"}) || report.Findings[0].Level != finding.Warning || report.Passes != Yes {
		t.Error(told(report))
	}
	if err := os.Remove(filepath.Join(dir, "clean.test", "s1.private")); err != nil {
		t.Fatal(err)
	}
	if keys, err = keystore.Load(keystore.Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	report = Domain(t.Context(), options(resolver, keys), "clean.test")
	if !slices.Equal(codes(report), []string{"dkim-key-broken"}) || report.Findings[0].Level != finding.Fault {
		t.Error(told(report))
	}
}
