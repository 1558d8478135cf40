// Package rspamdtest runs Debian's rspamd in tests, as the other program that signs with the
// keys of a store.
package rspamdtest

import (
	"bytes"
	"context"
	"encoding/json"
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
)

// Message is what Sign signs.
const Message = "From: a@example.org\r\nTo: b@example.net\r\nSubject: x\r\n" +
	"Date: Sun, 29 Nov 2026 17:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\r\nhello\r\n"

// Rspamd is one that does nothing but sign, and ends with its test.
type Rspamd struct{ http *http.Client }

// Start starts one whose section dkim_signing has these lines.
func Start(t testing.TB, signing string) *Rspamd {
	t.Helper()
	dir, err := os.MkdirTemp("", "rspamd") // t.TempDir is too long a path for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	conf, socket := filepath.Join(dir, "conf"), filepath.Join(dir, "sock")
	// With all names of top-level domains, it would compile a pattern for half a minute.
	for path, text := range map[string]string{filepath.Join(dir, "tld"): "org\nnet\n", conf: strings.ReplaceAll(`
options {
  url_tld = "DIR/tld"; disable_hyperscan = true; filters = "dkim";
  pidfile = "DIR/pid"; tempdir = "DIR"; control_socket = "DIR/control mode=0600";
  history_file = "DIR/history"; stats_file = "DIR/stats"; dynamic_conf = "DIR/dynamic";
  local_addrs = "127.0.0.0/8"; dns { nameserver = ["127.0.0.1"]; }
}
logging { type = "file"; filename = "DIR/log"; level = "info"; }
worker "normal" { bind_socket = "DIR/sock mode=0600"; count = 1; }
modules { path = "/usr/share/rspamd/plugins/dkim_signing.lua"; }
dkim_signing {
  use_esld = false; allow_hdrfrom_mismatch = true; check_pubkey = false;
`+signing+`
}`, "DIR", dir)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("rspamd", "-f", "-i", "-c", conf, "--var=DBDIR="+dir, "--var=RUNDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-done
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("rspamd: %s\n%s", &out, log)
		}
	})
	r := &Rspamd{&http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if res, err := r.http.Get("http://rspamd/ping"); err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return r
			}
		}
		if time.Now().After(end) {
			t.Fatal("rspamd does not answer")
		}
	}
}

// Sign has it sign Message for a client on this machine, and returns the values of the
// DKIM-Signature fields; none where it does not sign.
func (r *Rspamd) Sign(t testing.TB) (signatures []string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://rspamd/checkv2",
		strings.NewReader(Message))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("IP", "127.0.0.1")
	req.Header.Set("From", "a@example.org")
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Signed json.RawMessage `json:"dkim-signature"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if answer.Signed == nil {
		return nil
	}
	if json.Unmarshal(answer.Signed, &signatures) != nil { // it is no list where there is one
		signatures = make([]string, 1)
		if err := json.Unmarshal(answer.Signed, &signatures[0]); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return signatures
}
