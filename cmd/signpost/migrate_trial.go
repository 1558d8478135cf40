package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/milter"
)

// trial is a signpostd of its own, with copies of the keys, for nothing but to be
// compared.
type trial struct {
	dir     string
	address milter.Address
	cmd     *exec.Cmd
	said    bytes.Buffer
	ended   chan struct{}
}

// startTrial starts it with these settings, and waits until it listens.
func startTrial(ctx context.Context, steps []migrate.Step, settings []importSetting) (*trial, error) {
	program, err := findDaemon()
	if err != nil {
		return nil, err
	}
	t := &trial{ended: make(chan struct{})}
	if t.dir, err = os.MkdirTemp("", "signpost-migrate"); err != nil {
		return nil, err
	}
	fail := func(err error) (*trial, error) {
		os.RemoveAll(t.dir)
		return nil, err
	}
	keys := filepath.Join(t.dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		return fail(err)
	}
	for _, step := range steps {
		if step.State == migrate.Taken {
			continue
		}
		_, err := keystore.Install(keys, step.Domain, step.Selector, step.Data, step.Time)
		if err != nil && !errors.Is(err, os.ErrExist) {
			return fail(err)
		}
	}
	t.address = milter.Address{Network: "unix", Address: filepath.Join(t.dir, "milter")}
	t.cmd = exec.CommandContext(ctx, program)
	t.cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for _, s := range settings {
		if s.Variable != "SIGNPOST_LISTEN" && s.Variable != "SIGNPOST_KEYS" {
			t.cmd.Env = append(t.cmd.Env, s.Variable+"="+s.Value)
		}
	}
	// The newest keys are those that sign once their records are in the DNS.
	t.cmd.Env = append(t.cmd.Env, "SIGNPOST_LISTEN="+t.address.String(), "SIGNPOST_KEYS="+keys,
		"SIGNPOST_DNS_CHECK=off", "SIGNPOST_REQUIRE_SAFE_KEYS=no", "SIGNPOST_STATE=")
	t.cmd.Stdout, t.cmd.Stderr = &t.said, &t.said
	t.cmd.Cancel = func() error { return t.cmd.Process.Signal(syscall.SIGTERM) }
	t.cmd.WaitDelay = 10 * time.Second
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} // if we are killed
	if err := t.cmd.Start(); err != nil {
		return fail(err)
	}
	go func() { t.cmd.Wait(); close(t.ended) }()
	for deadline := time.Now().Add(time.Minute); !listens(t.address); time.Sleep(20 * time.Millisecond) {
		select {
		case <-t.ended:
			os.RemoveAll(t.dir)
			return nil, fmt.Errorf("%s does not start with the settings that are carried over:\n%s", program,
				bytes.TrimSpace(t.said.Bytes()))
		case <-ctx.Done():
			t.stop()
			return nil, errStopped
		default:
		}
		if time.Now().After(deadline) {
			t.stop()
			return nil, fmt.Errorf("%s does not listen within a minute", program)
		}
	}
	return t, nil
}

// stop ends it and leaves nothing behind.
func (t *trial) stop() {
	t.cmd.Process.Signal(syscall.SIGTERM)
	<-t.ended
	os.RemoveAll(t.dir)
}

// findDaemon looks for signpostd beside this program, and then in PATH.
func findDaemon() (string, error) {
	self, err := os.Executable()
	if err == nil {
		beside := filepath.Join(filepath.Dir(self), "signpostd")
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	for _, name := range []string{"signpostd", "/usr/sbin/signpostd", "/usr/local/sbin/signpostd"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", finding.WithHint(errors.New("there is no signpostd beside this program or in PATH"), "install it")
}

// listens reports whether something is at an address.
func listens(address milter.Address) bool {
	conn, err := net.DialTimeout(address.Network, address.Address, time.Second)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// subdomainsOf reports whether the settings have subdomains signed.
func subdomainsOf(settings []importSetting) bool {
	return slices.ContainsFunc(settings, func(s importSetting) bool {
		return s.Variable == "SIGNPOST_SUBDOMAINS" && s.Value == "yes"
	})
}
