package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// fullDisk takes some bytes and then no more.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	n := min(d.room, len(p))
	d.room -= n
	if n < len(p) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// An answer that could not be written whole is never success.
func TestAnswerIsCutOff(t *testing.T) { // not parallel: the flags --help and --version of cli are global
	dir := t.TempDir()
	keys, letter := filepath.Join(dir, "keys"), filepath.Join(dir, "letter.eml")
	if code := run(context.Background(), []string{"signpost", "keygen", "--mkdir", "--keys", keys, "--type", "ed25519", "example.org"}, &bytes.Buffer{}, &bytes.Buffer{}); code != 0 {
		t.Fatalf("keygen: exit code %d", code)
	}
	if err := os.WriteFile(letter, []byte("From: joe@example.org\n\nHello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"keygen --mkdir --now --selector new --type ed25519 --keys " + dir + "/more example.org",
		"--help", "--version", "dns --help", "postfix", "man", "man dns", "completion bash", "completion words ",
		"keys --keys " + keys, "keys --json --keys " + keys,
		"dns example.org --keys " + keys, "dns example.org --format zone --keys " + keys,
		"explain --keys " + keys + " " + letter, "import --dry-run --keys " + dir + "/new " + keys,
		"postfix show --milter-only", "man --dir " + dir + "/man",
	} {
		for _, room := range []int{0, 3} {
			line := strings.Replace(line, "new", fmt.Sprint("new", room), 1)
			var stderr bytes.Buffer
			code := run(context.Background(), append([]string{"signpost"}, strings.Split(line, " ")...), &fullDisk{room}, &stderr)
			if code != exitFinding || !strings.Contains(stderr.String(), "signpost: error: writing the answer: no space left on device\n") {
				t.Errorf("signpost %s: exit code %d, standard error:\n%s", line, code, &stderr)
			}
		}
	}
}

// Ctrl-C ends a command that waits for its input.
func TestStoppedWhileReading(t *testing.T) { // not parallel: the flags --help and --version of cli are global
	ctx, cancel := context.WithCancel(t.Context())
	pipe, writer := io.Pipe() // nothing is ever written
	defer writer.Close()
	reading := make(chan error)
	go func() {
		_, err := io.ReadAll(&interruptible{ctx, pipe})
		reading <- err
	}()
	cancel()
	if err := <-reading; !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
	var stderr bytes.Buffer
	code := run(ctx, []string{"signpost", "verify", "--resolver", "127.0.0.1"}, io.Discard, &stderr)
	if want := "signpost: error: standard input: stopped\n"; code != 130 || stderr.String() != want {
		t.Errorf("exit code %d, standard error %q", code, &stderr)
	}
}

// Who stops rotate while it reads reports is told that, and not that they cannot be read.
func TestRotateStopped(t *testing.T) { // not parallel, as above
	keys := t.TempDir()
	ctx, cancel := context.WithCancelCause(t.Context())
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"signpost", "keygen", "--type", "ed25519", "--keys", keys, "example.org"}, &stdout, &stderr); code != 0 {
		t.Fatal(stderr.String())
	}
	stderr.Reset()
	cancel(stoppedBy{syscall.SIGINT})
	code := run(ctx, []string{"signpost", "rotate", "--auto", "--keys", keys, "--reports", t.TempDir(),
		"--publish", "exec:/bin/false,zone=example.org", "example.org"}, &stdout, &stderr)
	if want := "signpost: error: stopped\n"; code != 130 || stderr.String() != want {
		t.Errorf("got %d, %q", code, stderr.String())
	}
}
