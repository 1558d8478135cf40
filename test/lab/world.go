// Package lab has what the whole-system tests and the benchmark share: a
// private world to run in, Postfix, a receiving mail server, and the frames of
// the milter protocol. The name servers are in the package nameserver below it.
package lab

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"signpost/keystore/finding"
)

// homeEnv names the folder of the private world. It is set only inside that
// world.
const homeEnv = "LAB_HOME"

// Programs is the folder in the private world for the programs under test.
func Programs() string { return filepath.Join(os.Getenv(homeEnv), "bin") }

// Files is the folder in the private world for all other files. It is in
// memory, because Postfix waits for the disk with each message.
func Files() string { return filepath.Join(os.Getenv(homeEnv), "files") }

// Enter runs this program again, with the same arguments, in network, mount and
// process namespaces of its own, and there calls inside. So ports never clash,
// nothing can leave the machine, and nothing is left behind: when the first
// process of a process namespace ends, everything in it ends. Before that,
// prepare puts programs into the folder; it may be nil.
func Enter(prepare func(programs string) error, inside func() int) (code int, err error) {
	if os.Getenv(homeEnv) != "" {
		if err := furnish(); err != nil {
			return 1, err
		}
		return inside(), nil
	}
	if os.Geteuid() != 0 {
		return 1, finding.WithHint(fmt.Errorf("user id %d", os.Geteuid()),
			"Postfix and namespaces need root")
	}
	// Killed with this thread (Pdeathsig), so the thread must last.
	runtime.LockOSThread()
	home, err := os.MkdirTemp("", "lab")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(home)
	if err := os.Chmod(home, 0o755); err != nil { // for user postfix
		return 1, err
	}
	if prepare != nil {
		if err := prepare(filepath.Join(home, "bin")); err != nil {
			return 1, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	// The shell is there to reap what the servers leave behind.
	again := exec.Command("sh", append([]string{"-c", `"$0" "$@"; exit $?`, self}, os.Args[1:]...)...)
	again.Env = append(os.Environ(), homeEnv+"="+home)
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   syscall.CLONE_NEWNET | syscall.CLONE_NEWPID,
		Unshareflags: syscall.CLONE_NEWNS, // with private propagation
		Pdeathsig:    syscall.SIGKILL,
	}
	if err := again.Start(); err != nil {
		return 1, finding.WithHint(fmt.Errorf("starting in own namespaces: %w", err),
			"in a container, give it the capability SYS_ADMIN")
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() { <-stop; again.Process.Kill() }()
	if err := again.Wait(); err != nil {
		return 1, nil // said inside
	}
	return 0, nil
}

// furnish makes the new namespaces usable: room for files, /proc of this process
// namespace, and the loopback interface.
func furnish() error {
	if err := os.Mkdir(Files(), 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", Files(), "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting %s: %w", Files(), err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return finding.WithHint(fmt.Errorf("ip link set lo up: %w %s", err, out),
			"install iproute2")
	}
	return nil
}

// Wait waits until the condition holds, and reports whether it did within the
// limit. The longer it takes, the more seldom it looks, for that may take long.
func Wait(limit time.Duration, condition func() bool) bool {
	for start := time.Now(); !condition(); {
		elapsed := time.Since(start)
		if elapsed > limit {
			return false
		}
		time.Sleep(min(max(elapsed/20, 5*time.Millisecond), 100*time.Millisecond))
	}
	return true
}
