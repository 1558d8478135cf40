package system

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"testing"
)

// homeEnv names the folder of the private world: the programs are in its
// bin, the files of the tests in its memory file system worlds. It is
// set only inside that world.
const homeEnv = "SYSTEM_TEST_HOME"

func TestMain(m *testing.M) {
	if os.Getenv(homeEnv) != "" {
		if err := enterWorld(); err != nil {
			fmt.Fprintln(os.Stderr, "system tests:", err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	code, err := runInside()
	if err != nil {
		fmt.Fprintln(os.Stderr, "system tests:", err)
	}
	os.Exit(code)
}

// runInside builds the programs and runs this test binary again, with the
// same arguments, in namespaces of its own. When the first process of a process
// namespace ends, everything in it ends.
func runInside() (int, error) {
	if os.Geteuid() != 0 {
		return 1, fmt.Errorf("user id %d; hint: Postfix and namespaces need root", os.Geteuid())
	}
	// Killed with this thread (Pdeathsig), so the thread must last.
	runtime.LockOSThread()
	home, err := os.MkdirTemp("", "system")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(home)
	if err := os.Chmod(home, 0o755); err != nil { // for user postfix
		return 1, err
	}
	if err := build(filepath.Join(home, "bin")); err != nil {
		return 1, err
	}
	// The shell is there to reap what the servers leave behind.
	inside := exec.Command("sh", append([]string{"-c", `"$0" "$@"; exit $?`}, os.Args...)...)
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

// build compiles the daemon and the companion, which watch themselves for data
// races and sign with libcrypto when the tests do.
func build(bin string) error {
	args := []string{"build", "-o", bin + "/", "-tags", builtWith("-tags")}
	if builtWith("-race") == "true" {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, "signpost/cmd/signpostd", "signpost/cmd/signpost")...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// builtWith returns the value of an option with which this test binary was
// built.
func builtWith(option string) string {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == option {
			return s.Value
		}
	}
	return ""
}

// enterWorld makes the new namespaces usable: /proc of this process
// namespace, the loopback interface, and room for the tests' files, in memory
// because Postfix waits for the disk with each message.
func enterWorld() error {
	worlds := filepath.Join(os.Getenv(homeEnv), "worlds")
	if err := os.Mkdir(worlds, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", worlds, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting %s: %w", worlds, err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w %s; hint: install iproute2", err, out)
	}
	return nil
}
