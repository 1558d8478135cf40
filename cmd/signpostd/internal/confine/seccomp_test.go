//go:build amd64 || arm64

package confine

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// The filter as the kernel runs it. What another process tries is in TestConfined; this
// has what a Go program cannot call.
func TestCallFilter(t *testing.T) {
	t.Parallel()
	machine, err := bpf.NewVM(callFilter())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		arch uint32
		call uint32
		args []uint32
		want uint32
	}{
		{"read", architecture, unix.SYS_READ, nil, allow},
		{"a call that is not known yet", architecture, 900, nil, allow},
		{"execve", architecture, unix.SYS_EXECVE, nil, refuse},
		{"execve of 32-bit programs", unix.AUDIT_ARCH_I386, 11, nil, refuse},
		{"execve of x32", architecture, 1<<30 + 520, nil, refuse},
		{"a thread", architecture, unix.SYS_CLONE, []uint32{unix.CLONE_VM | unix.CLONE_THREAD}, allow},
		{"a thread by clone3", architecture, unix.SYS_CLONE3, nil, unknown},
		{"a user namespace", architecture, unix.SYS_CLONE, []uint32{unix.CLONE_NEWUSER}, refuse},
		{"a TCP socket", architecture, unix.SYS_SOCKET, []uint32{unix.AF_INET, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"a UDP socket", architecture, unix.SYS_SOCKET, []uint32{unix.AF_INET6, unix.SOCK_DGRAM, unix.IPPROTO_UDP}, allow},
		{"a raw socket", architecture, unix.SYS_SOCKET, []uint32{unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_UDP}, refuse},
		{"MPTCP", architecture, unix.SYS_SOCKET, []uint32{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, refuse},
		{"a packet socket", architecture, unix.SYS_SOCKET, []uint32{unix.AF_PACKET, unix.SOCK_DGRAM}, refuse},
		{"a unix socket", architecture, unix.SYS_SOCKET, []uint32{unix.AF_UNIX, unix.SOCK_STREAM}, refuse},
		{"addresses of the host", architecture, unix.SYS_SOCKET, []uint32{unix.AF_NETLINK, unix.SOCK_RAW, 0}, allow},
		{"netfilter", architecture, unix.SYS_SOCKET, []uint32{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, refuse},
		{"sendto", architecture, unix.SYS_SENDTO, []uint32{3, 0, 0, unix.MSG_NOSIGNAL}, allow},
		{"sendmsg with a connection", architecture, unix.SYS_SENDMSG, []uint32{3, 0, unix.MSG_FASTOPEN}, refuse},
		{"sendmmsg with a connection", architecture, unix.SYS_SENDMMSG, []uint32{3, 0, 1, unix.MSG_FASTOPEN}, refuse},
	} {
		var data [64]byte // struct seccomp_data, in the byte order of the machine of the package
		binary.BigEndian.PutUint32(data[offCall:], test.call)
		binary.BigEndian.PutUint32(data[offArch:], test.arch)
		for i, arg := range test.args {
			binary.BigEndian.PutUint32(data[offArgs+8*i:], arg)
		}
		got, err := machine.Run(data[:])
		if err != nil || uint32(got) != test.want {
			t.Errorf("%s: %x, error %v; want %x", test.name, got, err, test.want)
		}
	}
}
