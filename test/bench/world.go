package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
)

// homeEnv names the folder that the benchmark works in. It is set only inside
// of its world.
const homeEnv = "SIGNPOST_BENCH_HOME"

// runInside runs this program again, with the same arguments, in namespaces of
// its own. When the first process of a process namespace ends, everything in
// it ends.
func runInside() (int, error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("user id %d; hint: Postfix and namespaces need root", os.Geteuid())
	}
	// Killed with this thread (Pdeathsig), so the thread must last.
	runtime.LockOSThread()
	home, err := os.MkdirTemp("", "bench")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(home)
	if err := os.Chmod(home, 0o755); err != nil { // for user postfix
		return 1, err
	}
	// The shell is there to reap what the servers leave behind.
	inside := exec.Command("sh", append([]string{"-c", `"$0" "$@"; exit $?`}, os.Args...)...)
	inside.Args[3], err = os.Executable()
	if err != nil {
		return 1, err
	}
	inside.Env = append(os.Environ(), homeEnv+"="+home)
	inside.Stdin, inside.Stdout, inside.Stderr = os.Stdin, os.Stdout, os.Stderr
	inside.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS, // with private propagation
		Pdeathsig:    syscall.SIGKILL,
	}
	if err := inside.Start(); err != nil {
		return 1, fmt.Errorf("starting in own namespaces: %w; hint: in a container, give it the capability SYS_ADMIN", err)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() { <-stop; inside.Process.Kill() }()
	if err := inside.Wait(); err != nil {
		return 1, nil // said inside
	}
	return 0, nil
}

// enterWorld makes the new namespaces usable: the folder in memory, for neither
// keys, logs nor Postfix's queue shall wait for a disk, /proc of this process
// namespace, and the loopback interface.
func enterWorld(home string) error {
	if err := syscall.Mount("tmpfs", home, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting %s: %w", home, err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w %s; hint: install iproute2", err, out)
	}
	return nil
}

// freePort finds a port that nobody uses.
func freePort() (socket, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return socket{}, err
	}
	defer ln.Close()
	return socket{"tcp", ln.Addr().String()}, nil
}
