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
