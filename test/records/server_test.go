package records

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"

	"signpost/test/lab/nameserver"
)

// runTests builds the companion once, for all tests.
func runTests(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "records")
	if err == nil {
		defer os.RemoveAll(dir)
		os.Setenv(programEnv, filepath.Join(dir, "signpost"))
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", os.Getenv(programEnv), "signpost/cmd/signpost")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "records tests: go build:", err)
		return 1
	}
	return m.Run()
}

// programEnv names the variable with the path of the companion.
const programEnv = "RECORDS_TEST_SIGNPOST"

// serve starts a primary server of a zone until the test ends, and returns its
// port on 127.0.0.1.
func serve(t *testing.T, primary nameserver.Primary, zone, text string, updates nameserver.Updates) (port string) {
	t.Helper()
	server, err := primary(t.TempDir(), zone, text, updates)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log := server.Stop(); t.Failed() {
			t.Log(log)
		}
	})
	return server.Port
}

// startResolver serves what the server of example.org says; nothing else exists.
func startResolver(t *testing.T, port string) (address string) {
	t.Helper()
	upstream := nameserver.Forward("127.0.0.1:" + port)
	return nameserver.Serve(t, func(w dns.ResponseWriter, query *dns.Msg) {
		if dns.IsSubDomain("example.org.", query.Question[0].Name) {
			upstream(w, query)
		} else {
			nameserver.Code(dns.RcodeNameError)(w, query)
		}
	})
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
