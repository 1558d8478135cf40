package keystore

import (
	"errors"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"signpost/keystore/finding"
)

// A container often has the keys read-only: then no change of rights helps.
func TestExplainReadOnly(t *testing.T) {
	t.Parallel()
	err := explain(&fs.PathError{Op: "mkdir", Path: "/keys/example.org", Err: syscall.EROFS}, "/keys")
	if !errors.Is(err, syscall.EROFS) || !strings.HasPrefix(finding.Text(err), "read-only file system; hint: do it where ") {
		t.Errorf("got %q", err)
	}
}
