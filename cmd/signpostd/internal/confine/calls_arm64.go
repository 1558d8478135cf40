package confine

import "golang.org/x/sys/unix"

const architecture = unix.AUDIT_ARCH_AARCH64

// architectureCalls returns none: arm64 has no older forms of calls.
func architectureCalls() []uint32 { return nil }
