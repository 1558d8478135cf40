//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// filterCalls refuses, in all threads, system calls that a milter has no use for. The
// rest is allowed, and not the other way round: a version of Go or of the C library that
// uses another call must not stop the mail. A refused call fails with EPERM, and nothing
// is killed.
//
// The assembler is that of golang.org/x/net. Libraries for seccomp let all calls of
// another architecture pass such a list, and on amd64 every program can make those of
// 32-bit programs.
func filterCalls() error {
	program, err := bpf.Assemble(callFilter())
	if err != nil {
		return err
	}
	// An operation that does not exist.
	if err := survivable(unix.SYS_SECCOMP, 1<<20, 0, 0); err != nil {
		return err
	}
	// no_new_privs is of a thread, and goes to the others with the filter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	// bpf.RawInstruction is laid out as the kernel's sock_filter.
	filter := unix.SockFprog{
		Len:    uint16(len(program)),
		Filter: (*unix.SockFilter)(unsafe.Pointer(&program[0])),
	}
	// No code of others runs here, so there is nothing to guard from speculation, which
	// kernels before 5.16 would make slower.
	const flags = unix.SECCOMP_FILTER_FLAG_TSYNC | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	failed, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags,
		uintptr(unsafe.Pointer(&filter)))
	switch {
	case errno == unix.ENOSYS || errno == unix.EINVAL:
		return errors.New("the kernel does not have it")
	case errno != 0:
		return errno
	case failed != 0:
		return fmt.Errorf("thread %d has another filter", failed)
	}
	return nil
}

// Offsets in struct seccomp_data. Arguments have 64 bits; of those that are looked at,
// the kernel uses the lower half, which comes first on the architectures we know.
const (
	offCall = 0
	offArch = 4
	offArgs = 16
)

// What a filter answers.
const (
	refuse  = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	unknown = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	allow   = unix.SECCOMP_RET_ALLOW
)

func ret(answer uint32) bpf.Instruction { return bpf.RetConstant{Val: answer} }

// callFilter returns the filter in the instructions of a BPF machine.
func callFilter() []bpf.Instruction {
	filter := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: architecture, SkipTrue: 1}, ret(refuse),
		bpf.LoadAbsolute{Off: offCall, Size: 4},
		// The calls of x32, which has the architecture of amd64.
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: 1 << 30, SkipTrue: 1}, ret(refuse),
		// Its arguments cannot be seen. The C library goes on with clone.
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_CLONE3, SkipTrue: 1}, ret(unknown),
	}
	for _, call := range append(architectureCalls(), uselessCalls()...) {
		filter = append(filter,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1}, ret(refuse))
	}
	filter = append(filter, withBits(unix.SYS_CLONE, 0, newNamespaces)...)
	// Connects past Landlock, which sees connect(2) alone.
	filter = append(filter, withBits(unix.SYS_SENDTO, 3, unix.MSG_FASTOPEN)...)
	filter = append(filter, withBits(unix.SYS_SENDMSG, 2, unix.MSG_FASTOPEN)...)
	filter = append(filter, withBits(unix.SYS_SENDMMSG, 3, unix.MSG_FASTOPEN)...)
	filter = append(filter, newSocket()...)
	return append(filter, ret(allow))
}

const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC |
	unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

func argument(n uint32) bpf.Instruction { return bpf.LoadAbsolute{Off: offArgs + 8*n, Size: 4} }

// withBits refuses a call whose argument has one of the bits.
func withBits(call, arg, bits uint32) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 4},
		argument(arg),
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: bits, SkipTrue: 1}, ret(refuse),
		ret(allow),
	}
}

// newSocket allows new sockets for UDP and TCP, and those that list the addresses of the
// host: none to other programs by a unix socket, and no other protocol, as MPTCP, for
// Landlock knows TCP alone.
func newSocket() []bpf.Instruction {
	const family, kind, protocol = 0, 1, 2
	return []bpf.Instruction{
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_SOCKET, SkipTrue: 16},
		argument(family),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.AF_INET6, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.AF_NETLINK, SkipTrue: 10},
		argument(protocol),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.NETLINK_ROUTE, SkipTrue: 9}, ret(refuse),
		// The upper bits of the kind are flags.
		argument(kind), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xf},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: unix.SOCK_DGRAM, SkipTrue: 4},
		argument(protocol),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_TCP, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.IPPROTO_UDP, SkipTrue: 1},
		ret(refuse), ret(allow),
	}
}
