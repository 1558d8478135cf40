package keystore

import (
	"runtime"
	"syscall"
	"testing"
)

// dropRights takes the rights of another user for the file system, for this
// test's thread alone, until the test ends.
func dropRights(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65532, 0, 0); errno != 0 {
		t.Fatal(errno)
	}
	t.Cleanup(func() {
		_, _, _ = syscall.RawSyscall(syscall.SYS_SETFSUID, 0, 0, 0)
		runtime.UnlockOSThread()
	})
}
