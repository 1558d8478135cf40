package confine_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// refusedFrom returns what must be refused, and from which version of Landlock on.
func refusedFrom() map[string]int {
	return map[string]int{
		"read /etc/shadow": 1, "read a file outside": 1, "list /": 1, "read the program": 1,
		"write beside the keys": 1, "write over a key": 1, "remove a key": 1, "rename a key": 1,
		"make a folder": 1, "make a symlink": 1, "link a key into the state": 2, "truncate a key": 3,
		"change the mode of a key": 1, "change its owner": 1, "change its time": 1,
		"write outside": 1, "run a program": 1, "run from memory": 1,
		"connect elsewhere": 4, "connect to a unix socket": 1, "connect by MPTCP": 1,
		"connect by fast open": 1, "a raw socket": 1, "bind a port": 4, "listen at a unix socket": 1,
		"trace a process": 1, "read memory of the parent": 1, "read the environment of the parent": 1,
		"write own memory": 1, "signal the parent": 6, "a namespace": 1, "a namespace by clone": 1,
		"mount": 1, "bpf": 1, "keyctl": 1, "io_uring": 1, "load a module": 1,
	}
}

// try does what signpostd needs and what it does not, and returns the errors.
func (w *world) try() map[string]string {
	results := make(map[string]string)
	at := func(name string, err error) {
		results[name] = ""
		if err != nil {
			results[name] = err.Error()
		}
	}
	_, err := os.ReadFile(w.Keys + "/new")
	at("read a new key", err)
	_, err = os.ReadFile(w.Root + "/etc/keys.old/key")
	at("read an old key", err)
	_, err = os.ReadDir(w.Keys)
	at("list the keys", err)
	name := filepath.Join(w.State, "state")
	at("write the state", errors.Join(writeNew(name+".new"),
		os.Rename(name+".new", name), os.WriteFile(name, nil, 0o600), os.Remove(name)))
	_, err = os.ReadFile("/proc/self/stat")
	at("read /proc/self/stat", err)
	_, err = os.ReadDir("/proc/" + strconv.Itoa(os.Getpid()) + "/fd")
	at("list /proc/PID/fd", err)
	at("connect to the DNS", dial("tcp", w.DNS))
	at("send by UDP", dial("udp", w.Elsewhere))

	key := w.Root + "/etc/keys.old/key"
	for name, path := range map[string]string{"read /etc/shadow": "/etc/shadow",
		"read a file outside": w.Outside, "list /": "/", "read the program": "/proc/self/exe",
		"read the environment of the parent": "/proc/" + strconv.Itoa(w.Other) + "/environ"} {
		file, err := os.Open(path)
		file.Close()
		at(name, err)
	}
	at("write beside the keys", os.WriteFile(w.Keys+"/beside", nil, 0o600))
	at("write over a key", open(key, os.O_WRONLY))
	at("remove a key", os.Remove(w.Keys+"/new"))
	at("rename a key", os.Rename(w.Keys+"/new", w.Keys+"/other"))
	at("make a folder", os.Mkdir(w.Keys+"/folder", 0o700))
	at("make a symlink", os.Symlink("/", w.Keys+"/link"))
	at("link a key into the state", os.Link(key, w.State+"/key"))
	at("truncate a key", os.Truncate(key, 0))
	at("change the mode of a key", os.Chmod(key, 0o600))
	at("change its owner", os.Chown(key, os.Getuid(), os.Getgid()))
	at("change its time", unix.UtimesNano(key, []unix.Timespec{{}, {}}))
	at("write outside", open(w.Outside, os.O_WRONLY))
	at("write own memory", open("/proc/self/mem", os.O_WRONLY))
	at("run a program", exec.Command("/bin/true").Run())
	at("run from memory", fromMemory())
	at("connect elsewhere", dial("tcp", w.Elsewhere))
	at("connect to a unix socket", dial("unix", w.Unix))
	at("connect by MPTCP", socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP))
	at("a raw socket", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP))
	at("connect by fast open", fastOpen(w.Elsewhere))
	at("bind a port", listen("tcp", "127.0.0.1:0"))
	at("listen at a unix socket", listen("unix", w.Socket))
	at("trace a process", refused(unix.PtraceAttach(0)))
	at("read memory of the parent", readMemory(w.Other))
	at("signal the parent", syscall.Kill(w.Other, 0))
	at("a namespace", unix.Unshare(unix.CLONE_NEWUSER))
	child, _, errno := unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_NEWUSER|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && child == 0 {
		unix.RawSyscall(unix.SYS_EXIT, 0, 0, 0)
	}
	at("a namespace by clone", failed(errno))
	at("mount", refused(unix.Mount("none", w.State, "tmpfs", 0, "")))
	for name, call := range map[string]uintptr{"bpf": unix.SYS_BPF, "keyctl": unix.SYS_KEYCTL,
		"io_uring": unix.SYS_IO_URING_SETUP, "load a module": unix.SYS_INIT_MODULE} {
		_, _, errno := unix.Syscall(call, 0, 0, 0)
		at(name, refused(failed(errno)))
	}
	return results
}

// refused is nil for an error that is not a refusal.
func refused(err error) error {
	if errors.Is(err, unix.EPERM) {
		return err
	}
	return nil
}

func failed(errno syscall.Errno) error {
	if errno != 0 {
		return errno
	}
	return nil
}

func open(name string, flag int) error {
	file, err := os.OpenFile(name, flag, 0)
	file.Close()
	return err
}

func dial(network, address string) error {
	conn, err := net.Dial(network, address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("x"))
	return err
}

func listen(network, address string) error {
	ln, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	return ln.Close()
}

func socket(family, kind, protocol int) error {
	fd, err := unix.Socket(family, kind, protocol)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// fastOpen connects by what it sends, without connect(2).
func fastOpen(address string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	_, port, _ := net.SplitHostPort(address)
	number, _ := strconv.Atoi(port)
	return unix.Sendto(fd, []byte("x"), unix.MSG_FASTOPEN, &unix.SockaddrInet4{Port: number, Addr: [4]byte{127, 0, 0, 1}})
}

// fromMemory runs a program that is in no directory.
func fromMemory() error {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, []byte("#!/bin/true\n")); err != nil {
		return err
	}
	return exec.Command("/proc/self/fd/" + strconv.Itoa(fd)).Run()
}

func readMemory(pid int) error {
	var data [8]byte
	local := []unix.Iovec{{Base: &data[0], Len: 8}}
	_, err := unix.ProcessVMReadv(pid, local,
		[]unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&data)), Len: 8}}, 0)
	return refused(err)
}

// writeNew writes a file as package atomicfile does.
func writeNew(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o640), file.Sync(), file.Close())
}
