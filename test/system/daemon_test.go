package system

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"signpost/test/lab"
)

// daemonUser owns the key directory and runs the daemon, which needs no root.
const daemonUser = 65532

// A daemon is a running signpostd.
type daemon struct {
	t    testing.TB
	cmd  *exec.Cmd
	log  string // path
	done chan struct{}
}

// milterAddr is where the world's daemon listens, in Postfix's notation.
func (w *world) milterAddr() string { return "inet:" + w.net + ".8:8891" }

// startDaemon runs signpostd on the world's keys and waits until it listens.
// Settings are flags (`--listen=...`) or variables (`DKIM_SELECTOR=a`).
func (w *world) startDaemon(settings ...string) *daemon {
	w.t.Helper()
	d := w.launchDaemon(settings...)
	await(w.t, "signpostd to listen", func() bool { return d.ended() || len(d.logged("msg=listening")) > 0 })
	if d.ended() {
		w.t.Fatalf("signpostd ended at once: %v", d.cmd.ProcessState)
	}
	return d
}

// launchDaemon is startDaemon without the waiting.
func (w *world) launchDaemon(settings ...string) *daemon {
	w.t.Helper()
	args := []string{
		"--reuid", fmt.Sprint(daemonUser), "--regid", fmt.Sprint(daemonUser), "--clear-groups",
		lab.Programs() + "/signpostd", "--keys", w.keys, "--removal-grace=1s",
	}
	var env []string
	listen := "--listen=" + w.milterAddr()
	for _, setting := range settings {
		switch {
		case strings.HasPrefix(setting, "--listen="):
			listen = setting
		case strings.HasPrefix(setting, "--"):
			args = append(args, setting)
		default:
			env = append(env, setting)
		}
	}
	d := &daemon{t: w.t, cmd: w.command("setpriv", append(args, listen)...), done: make(chan struct{})}
	d.cmd.Env = append(os.Environ(), env...)
	log, err := os.CreateTemp(w.dir, "signpostd-*.log")
	if err != nil {
		w.t.Fatal(err)
	}
	defer log.Close()
	d.log = log.Name()
	w.logs = append(w.logs, d.log)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { d.cmd.Wait(); close(d.done) }()
	w.t.Cleanup(d.cleanUp)
	return d
}

// makeRunDir makes the folder run for the daemon's unix socket.
func (w *world) makeRunDir() {
	w.t.Helper()
	dir := filepath.Join(w.dir, "run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Chown(dir, daemonUser, daemonUser); err != nil {
		w.t.Fatal(err)
	}
}

// cleanUp ends the daemon and looks at how it fared.
func (d *daemon) cleanUp() {
	if !d.ended() {
		d.signal(syscall.SIGTERM)
		await(d.t, "signpostd to end after SIGTERM", d.ended)
		if !d.cmd.ProcessState.Success() {
			d.t.Errorf("signpostd ended with %v after SIGTERM", d.cmd.ProcessState)
		}
	}
	for _, bad := range []string{"DATA RACE", "panic:", "goroutine "} {
		if found := d.logged(bad); len(found) > 0 {
			content, _ := os.ReadFile(d.log)
			d.t.Errorf("signpostd log has %q\n%s", found[0], content)
			return
		}
	}
}

func (d *daemon) signal(sig syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		d.t.Fatalf("signal %v to signpostd: %v", sig, err)
	}
}

func (d *daemon) ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// kill ends the daemon by a signal and waits for its end.
func (d *daemon) kill(sig syscall.Signal) {
	d.t.Helper()
	d.signal(sig)
	await(d.t, fmt.Sprintf("signpostd to end after %v", sig), d.ended)
}

// logged returns the log lines that contain all of the texts.
func (d *daemon) logged(texts ...string) []string { return lab.Lines(d.log, texts...) }

// memoryKB is a figure of the daemon's memory in KiB: VmRSS is what is resident
// now, VmHWM the most that ever was.
func (d *daemon) memoryKB(figure string) int {
	d.t.Helper()
	var kb int
	for _, line := range lab.Lines(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid), figure+":") {
		fmt.Sscanf(line, figure+": %d kB", &kb)
	}
	if kb == 0 {
		d.t.Fatal("signpostd has no memory: it is gone")
	}
	return kb
}
