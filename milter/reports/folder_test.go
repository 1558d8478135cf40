package reports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"signpost/keystore/report"
)

// write makes files below a folder, and what they are in.
func write(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.zip":                   gzipped(testReport("misnamed")),
		"b/c/d.txt":               testReport("below"),
		"b/e.eml":                 mail(attached, inBase64(gzipped(testReport("mail")))),
		"b/mbox":                  mailbox(ordinary, mail(attached, inBase64(gzipped(testReport("mbox"))))),
		".hidden":                 testReport("hidden"),
		".git/x":                  testReport("hidden"),
		"readme.txt":              "hello",
		"md/cur/1:2,S":            ordinary,
		"md/new/2":                mail(attached, inBase64(gzipped(testReport("new")))),
		"md/tmp/3":                mail(attached, inBase64(gzipped(testReport("tmp")))),
		"md/dovecot-uidlist":      testReport("index"),
		"md/.DMARC/cur/4":         mail(attached, inBase64(gzipped(testReport("cur")))),
		"md/.DMARC/new/.5":        testReport("hidden"),
		"md/.DMARC/maildirfolder": "",
		"tmp/f":                   testReport("other tmp"),
	})
	if err := os.Symlink("../readme.txt", filepath.Join(dir, "b/link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(dir, "b/loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "b/dangling")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	want := []string{
		"a.zip: report misnamed",
		"b/c/d.txt: report below",
		"b/dangling: error stat b/dangling: no such file or directory",
		"b/e.eml: r.zip: report mail",
		"b/link: no report: file",
		"b/loop: error a symlink to a folder, which is not followed",
		"b/mbox: message 1: no report: message",
		"b/mbox: message 2: r.zip: report mbox",
		"fifo: no report: file",
		"md/.DMARC/cur/4: r.zip: report cur",
		"md/cur/1:2,S: no report: message",
		"md/new/2: r.zip: report new",
		"readme.txt: no report: file",
		"socket: no report: file",
		"tmp/f: report other tmp",
	}
	var got []string
	for _, line := range read(t, "", DefaultLimits(), dir) {
		got = append(got, strings.ReplaceAll(line, dir+"/", ""))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// What is named is read, whatever it is called and wherever it is.
	named := []string{filepath.Join(dir, ".hidden"), filepath.Join(dir, "md/tmp"), filepath.Join(dir, "b/loop/a.zip")}
	got = read(t, "", DefaultLimits(), named...)
	want = []string{named[0] + ": report hidden", named[1] + "/3: r.zip: report tmp", named[2] + ": report misnamed"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A path may be a pipe, which a shell makes of <(command).
func TestPipe(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(fifo, []byte(zipped("a", testReport("1"))), 0) }()
	if got := read(t, "", DefaultLimits(), fifo); !slices.Equal(got, []string{fifo + ": a: report 1"}) {
		t.Errorf("got %q", got)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
}

func TestReadFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, map[string]string{"1": testReport("1"), "2": testReport("2")})
	all := func(Found) bool { return true }
	if err := Read(t.Context(), []string{dir + "/3"}, nil, DefaultLimits(), all); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing path: got %v", err)
	}
	if err := Read(t.Context(), []string{os.DevNull}, nil, DefaultLimits(), all); err == nil || !strings.Contains(err.Error(), "neither a file nor a folder") {
		t.Errorf("a device: got %v", err)
	}
	// found ends it, and so does the context.
	calls := 0
	if err := Read(t.Context(), []string{dir}, nil, DefaultLimits(), func(Found) bool { calls++; return false }); err != nil || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	calls = 0
	if err := Read(ctx, []string{dir}, nil, DefaultLimits(), func(Found) bool { calls++; cancel(); return true }); !errors.Is(err, context.Canceled) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

// Many files are read at once, but no large one before all that come before it are told of.
func TestLargeFilesWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made := func(id string, size int) string {
		text := strings.Replace(testReport(id), "<record>", strings.Repeat(" ", size)+"<record>", 1)
		return mail("X-Id: "+id+"\n"+attached, inBase64(gzipped(text)))
	}
	const large, small = 3, 20
	files := map[string]string{"a": made("slow", 0)}
	for i := range large {
		files[fmt.Sprintf("b%d", i)] = made("large", light)
	}
	for i := range small {
		files[fmt.Sprintf("c%d", i)] = made("small", light/5)
	}
	write(t, dir, files)
	var early, told atomic.Int64
	var others sync.WaitGroup
	others.Add(small)
	reader := Reader{Limits: DefaultLimits(), Origin: func(_ context.Context, message []byte) report.Origin {
		switch text := string(message); {
		case strings.Contains(text, "X-Id: slow"):
			others.Wait()
		case strings.Contains(text, "X-Id: small"):
			others.Done()
		case told.Load() == 0:
			early.Add(1)
		}
		return report.Origin{}
	}}
	all := 0
	err := reader.Read(t.Context(), []string{dir}, nil, func(f Found) bool {
		told.Add(1)
		if all++; f.Err != nil {
			t.Error(line(f))
		}
		return true
	})
	if err != nil || all != 1+large+small || early.Load() != 0 {
		t.Errorf("got %v, %d reports, %d of them before their turn", err, all, early.Load())
	}
}
