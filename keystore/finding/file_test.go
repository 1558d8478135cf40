package finding

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// A container often has the keys read-only: then no change of rights helps.
func TestFileHintReadOnly(t *testing.T) {
	t.Parallel()
	err := FileHint(&fs.PathError{Op: "mkdir", Path: "/keys/example.org", Err: syscall.EROFS}, "/keys")
	if !errors.Is(err, syscall.EROFS) || !strings.HasPrefix(Text(err), "read-only file system; hint: do it where ") {
		t.Errorf("got %q", err)
	}
}

// Landlock keeps signpostd from a directory that its mode lets it into.
func TestFileHintConfined(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	err := ReadHint(&fs.PathError{Op: "open", Path: dir, Err: syscall.EACCES}, dir)
	if !errors.Is(err, fs.ErrPermission) || !strings.HasPrefix(Text(err),
		"permission denied, though its mode allows it; hint: signpostd is confined to the directories ") {
		t.Errorf("got %q", Text(err))
	}
}
