package milter

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestParseAddress(t *testing.T) {
	for _, test := range []struct{ socket, want, local, wrong string }{
		{"inet:127.0.0.1:8891", "inet:127.0.0.1:8891", "inet:127.0.0.1:8891", ""},
		{"inet:8891@localhost", "inet:localhost:8891", "inet:localhost:8891", ""},
		{"inet:8891", "inet::8891", "inet:localhost:8891", ""},
		{"inet:8891@*", "inet::8891", "inet:localhost:8891", ""},
		{"inet:0.0.0.0:8891", "inet:0.0.0.0:8891", "inet:localhost:8891", ""},
		{"inet:[::1]:8891", "inet:[::1]:8891", "inet:[::1]:8891", ""},
		{"inet6:8891@::", "inet:[::]:8891", "inet:localhost:8891", ""},
		{" INET:dkim:8891 ", "inet:dkim:8891", "inet:dkim:8891", ""},
		{"unix:/run/signpost.sock", "unix:/run/signpost.sock", "unix:/run/signpost.sock", ""},
		{"local:/run/signpost.sock", "unix:/run/signpost.sock", "unix:/run/signpost.sock", ""},
		{"/run/signpost.sock", "unix:/run/signpost.sock", "unix:/run/signpost.sock", ""},
		{"", "", "", "absolute path"},
		{"8891", "", "", "absolute path"},
		{"unix:run/x", "", "", "absolute path"},
		{"unix:/" + strings.Repeat("x", 107), "", "", "has 108 characters, more than the 107"},
		{"inet:localhost", "", "", `invalid port "localhost"`},
		{"inet:http@localhost", "", "", `invalid port "http"`},
		{"inet:localhost:65536", "", "", "invalid port"},
		{"tcp:localhost:8891", "", "", `unknown kind of socket "tcp"`},
	} {
		got, err := ParseAddress(test.socket)
		switch {
		case test.wrong == "" && (err != nil || got.String() != test.want || got.Local().String() != test.local):
			t.Errorf("%q: got %v, %v, want %s, locally %s", test.socket, got, err, test.want, test.local)
		case test.wrong != "" && (err == nil || !strings.Contains(finding.Text(err), test.wrong) || !strings.Contains(finding.Text(err), "; hint: ")):
			t.Errorf("%q: got %v, %v, want an error with %q", test.socket, got, err, test.wrong)
		}
	}
}

func TestListenOnUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	address := Address{"unix", path}
	refused := func(wrong string) {
		t.Helper()
		if ln, err := address.Listen(); err == nil || !strings.Contains(finding.Text(err), wrong) {
			t.Errorf("got %v, %v, want an error with %q", ln, err, wrong)
		}
	}

	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a file that is not a socket")
	os.Remove(path)

	// What a killed process leaves behind.
	stale, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	stale.(*net.UnixListener).SetUnlinkOnClose(false)
	stale.Close()
	ln, err := address.Listen()
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	defer ln.Close()
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o777 {
		t.Errorf("mode %v: Postfix's smtpd, which is another user, cannot connect", info.Mode())
	}
	refused("another process serves this socket")
	address.Address = filepath.Join(path, "below", "x")
	refused("hint: ")
}

func TestListenOnPortInUse(t *testing.T) {
	ln, err := Address{"tcp", "127.0.0.1:0"}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Address{"tcp", ln.Addr().String()}.Listen()
	want := "listening on inet:" + ln.Addr().String() + ": bind: address already in use; hint: something listens there already"
	if err == nil || !strings.HasPrefix(finding.Text(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParseAddresses(t *testing.T) {
	got, err := ParseAddresses("inet:8891@localhost, unix:/run/a\n/run/b")
	if err != nil || len(got) != 3 || got[0].String() != "inet:localhost:8891" || got[2].String() != "unix:/run/b" {
		t.Errorf("got %v, %v", got, err)
	}
	for socket, wrong := range map[string]string{" , ": "no socket is given; hint: ", "inet:8891,tcp:1": `unknown kind of socket "tcp"`} {
		if got, err := ParseAddresses(socket); err == nil || !strings.Contains(finding.Text(err), wrong) {
			t.Errorf("%q: got %v, %v, want an error with %q", socket, got, err, wrong)
		}
	}
}
