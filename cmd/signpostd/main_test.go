package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signpostd": main})
}

// TestScripts runs the stories in testdata. Beside what testscript has, they
// know
//
//	key rsa:2048|ed25519 FILE          make a private key
//	report FILE DOMAIN REPORTER COUNT  write a DMARC report of yesterday on messages that passed
//	waitfor FILE [TEXT]                wait until a file is there, with the text in it
//	http SOCKET PATH CODE              get a page, which has the code, as standard output
//	waithttp SOCKET PATH CODE [TEXT]   the same as soon as it has the code, and the text
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"key":     makeKey,
			"report":  makeReport,
			"waitfor": waitFor,
			"http":    func(ts *testscript.TestScript, _ bool, args []string) { getHTTP(ts, args, 0) },
			"waithttp": func(ts *testscript.TestScript, _ bool, args []string) {
				getHTTP(ts, args, time.Minute)
			},
		},
		Setup: func(e *testscript.Env) error {
			// A path of its own, for a unix socket has little room.
			dir, err := os.MkdirTemp("", "signpost")
			e.Defer(func() { os.RemoveAll(dir) })
			e.Setenv("SOCKET", filepath.Join(dir, "s"))
			// Else each command, with the race detector, waits for a second at its end.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return err
		},
	})
}

func makeKey(ts *testscript.TestScript, _ bool, args []string) {
	var key any
	var err error
	switch args[0] {
	case "rsa:2048":
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	case "rsa:1024":
		key, err = rsa.GenerateKey(rand.Reader, 1024)
	case "ed25519":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	}
	ts.Check(err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	file := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
}

func makeReport(ts *testscript.TestScript, _ bool, args []string) {
	begin := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	text := fmt.Sprintf(`<feedback><report_metadata><org_name>%s</org_name><report_id>%s</report_id>
<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>
<policy_published><domain>%s</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.10</source_ip><count>%s</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row>
<identifiers><header_from>%[5]s</header_from></identifiers>
<auth_results><dkim><domain>%[5]s</domain><selector>mail</selector><result>pass</result></dkim>
<spf><domain>%[5]s</domain><result>pass</result></spf></auth_results></record></feedback>`,
		args[2], filepath.Base(file), begin.Unix(), begin.Add(24*time.Hour-time.Second).Unix(), args[1], args[3])
	ts.Check(os.WriteFile(file, []byte(text), 0o644))
	// It came a while ago, and so is complete.
	ts.Check(os.Chtimes(file, time.Time{}, time.Now().Add(-time.Minute)))
}

func getHTTP(ts *testscript.TestScript, args []string, patience time.Duration) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", args[0])
		}}}
	start := time.Now()
	for deadline := start.Add(patience); ; time.Sleep(5 * time.Millisecond) {
		resp, err := client.Get("http://signpostd" + args[1])
		if errors.Is(err, syscall.ECONNREFUSED) && time.Since(start) < time.Minute {
			continue // bound, and not listening yet, whatever the patience for an answer
		}
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if strings.HasPrefix(resp.Status, args[2]) && strings.Contains(string(body), strings.Join(args[3:], " ")) {
			fmt.Fprintf(ts.Stdout(), "%s", body)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %s, want %s: %s", args[1], resp.Status, args[2:], body)
		}
	}
}

func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.Join(args[1:], " ")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if len(args) == 1 {
			if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
				return
			}
			continue
		}
		if data, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(data), text) {
			return
		}
	}
	data, _ := os.ReadFile(ts.MkAbs(args[0]))
	ts.Fatalf("%s lacks %q: %s", args[0], text, data)
}

// process is a running signpostd.
type process struct {
	*exec.Cmd
	t   *testing.T
	log string
}

// launch starts signpostd with a key directory that is empty.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o755); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(filepath.Join(filepath.SplitList(os.Getenv("PATH"))[0], "signpostd"),
		append([]string{"--keys", keys, "--listen", "inet:0@127.0.0.1"}, args...)...)
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	return &process{daemon, t, log.Name()}
}

// await waits until the log has the text, and returns what follows it.
func (p *process) await(text string) string {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		data, _ := os.ReadFile(p.log)
		if _, after, found := strings.Cut(string(data), text); found && strings.Contains(after, "\n") {
			return after
		}
	}
	data, _ := os.ReadFile(p.log)
	p.t.Fatalf("no %q in the log:\n%s", text, data)
	return ""
}

// What a supervisor does: start it, hang up, terminate.
func TestSignals(t *testing.T) {
	daemon := launch(t, "--rescan", "1h")
	daemon.await("msg=listening addr=inet:127.0.0.1:")
	if err := daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	daemon.await(`msg="keys reloaded" domains=0`)
	daemon.await(`msg="since the start"`)
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	daemon.await("msg=stopped")
}

// The status page is served by names that are ours, and a crowd that may not see it
// keeps nobody from asking for health.
func TestStatusPage(t *testing.T) {
	daemon := launch(t, "--http", "127.0.0.1:0", "--http-host", "Status.Example.org bücher.example", "--allow-peers", "127.1.0.0/16")
	address, _, _ := strings.Cut(daemon.await(`msg="status page" addr=inet:`), "\n")
	ask := func(from, host, path string) (int, string) {
		t.Helper()
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		// Its connections are kept for as long as the server keeps them.
		client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext}, Timeout: time.Minute}
		t.Cleanup(client.CloseIdleConnections)
		r, err := http.NewRequest("GET", "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("%s of %s: %v", path, host, err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	own, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		address: 200, "localhost:8890": 200, "signpostd": 200, own: 200,
		"status.example.org": 200, "xn--bcher-kva.example:80": 200, "evil.example": 421,
	} {
		if code, body := ask("127.1.0.1", host, "/"); code != want {
			t.Errorf("%s: %d, want %d: %.300s", host, code, want, body)
		}
	}
	_, body := ask("127.1.0.1", "evil.example:8890", "/status.json")
	if want := "\"evil.example:8890\" is not a name of this server; hint: if it is, add it to --http-host\n"; body != want {
		t.Errorf("got %q, want %q", body, want)
	}
	for range 300 {
		ask("127.0.0.1", "localhost", "/")
		ask("127.0.0.1", "localhost", "/healthz")
	}
	if code, _ := ask("127.0.0.2", "localhost", "/healthz"); code != http.StatusOK {
		t.Error(code)
	}
}
