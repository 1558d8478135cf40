package regular

import (
	"bytes"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Whatever has the name of a file, nobody waits for it.
func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(os.WriteFile(at("file"), []byte("text"), 0o600))
	check(os.WriteFile(at("empty"), nil, 0o600))
	check(os.WriteFile(at("large"), []byte("texts"), 0o600))
	check(syscall.Mkfifo(at("fifo"), 0o600))
	check(os.Mkdir(at("dir"), 0o700))
	socket, err := net.Listen("unix", at("socket"))
	check(err)
	defer socket.Close()
	for name, target := range map[string]string{
		"link": "file", "dangling": "nothing", "link to fifo": "fifo", "zero": "/dev/zero", "tty": "/dev/ptmx",
		"kmsg": "/proc/kmsg", "loop": "loop",
	} {
		check(os.Symlink(target, at(name)))
	}
	for name, want := range map[string]string{
		"file": "", "link": "", "empty": "", "kmsg": "",
		"large": "it is larger than 4 bytes", "dir": "is a directory",
		"fifo": "it is not a regular file", "link to fifo": "it is not a regular file", "socket": "it is not a regular file",
		"zero": "it is not a regular file", "tty": "it is not a regular file",
		"dangling": "no such file or directory", "loop": "too many levels of symbolic links", "nothing": "no such file or directory",
	} {
		type result struct {
			data []byte
			err  error
		}
		done := make(chan result, 1)
		go func() {
			data, err := Read(at(name), 4)
			done <- result{data, err}
		}()
		select {
		case got := <-done:
			if want == "" && got.err != nil && !errors.Is(got.err, fs.ErrPermission) {
				t.Errorf("%s: %v", name, got.err)
			}
			if want != "" && (got.err == nil || !strings.HasSuffix(got.err.Error(), want)) {
				t.Errorf("%s: %v, want %s", name, got.err, want)
			}
			if text := name == "file" || name == "link"; text != bytes.Equal(got.data, []byte("text")) {
				t.Errorf("%s: got %q", name, got.data)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: it waits", name)
		}
	}
}

// One that is opened already, and was no file.
func TestReadOpened(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	opened, err := os.OpenFile(fifo, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if _, _, err := ReadOpened(opened, 4); err == nil {
		t.Error("read")
	}
}
