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
//	key rsa:2048|ed25519 FILE   make a private key
//	waitfor FILE [TEXT]         wait until a file is there, with the text in it
//	http SOCKET PATH CODE       get a page, which has the code, as standard output
//	waithttp SOCKET PATH CODE   the same as soon as it has the code
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"key":     makeKey,
			"waitfor": waitFor,
			"http":    func(ts *testscript.TestScript, _ bool, args []string) { getHTTP(ts, args, 0) },
			"waithttp": func(ts *testscript.TestScript, _ bool, args []string) {
				getHTTP(ts, args, 20*time.Second)
			},
		},
		Setup: func(e *testscript.Env) error {
			// A path of its own, for a unix socket has little room.
			dir, err := os.MkdirTemp("", "signpost")
			e.Defer(func() { os.RemoveAll(dir) })
			e.Setenv("SOCKET", filepath.Join(dir, "s"))
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

func getHTTP(ts *testscript.TestScript, args []string, patience time.Duration) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", args[0])
		}}}
	start := time.Now()
	for deadline := start.Add(patience); ; time.Sleep(5 * time.Millisecond) {
		resp, err := client.Get("http://signpostd" + args[1])
		if errors.Is(err, syscall.ECONNREFUSED) && time.Since(start) < 20*time.Second {
			continue // bound, and not listening yet, whatever the patience for an answer
		}
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if strings.HasPrefix(resp.Status, args[2]) {
			fmt.Fprintf(ts.Stdout(), "%s", body)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: %s, want %s: %s", args[1], resp.Status, args[2], body)
		}
	}
}

func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	text := strings.Join(args[1:], " ")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
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

// What a supervisor does: start it, hang up, terminate.
func TestSignals(t *testing.T) {
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
		"--keys", keys, "--listen", "inet:0@127.0.0.1", "--rescan", "1h")
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	defer daemon.Process.Kill()
	await := func(text string) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			if data, _ := os.ReadFile(log.Name()); strings.Contains(string(data), text) {
				return
			}
		}
		data, _ := os.ReadFile(log.Name())
		t.Fatalf("no %q in the log:\n%s", text, data)
	}
	await("msg=listening addr=inet:127.0.0.1:")
	if err := daemon.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(`msg="keys reloaded" domains=0`)
	await(`msg="since the start"`)
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	await("msg=stopped")
}
