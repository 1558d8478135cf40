package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

// unit is signpostd as a service of systemd, as the package installs it.
type unit struct {
	begun bool // the units are perhaps not as they were
}

// The package's names.
const (
	unitSettings = "/etc/default/signpostd"
	unitUser     = "signpost"
	unitService  = "signpostd.service"
	unitSocket   = "signpostd.socket"
	unitBegin    = "# signpost migrate: begin\n"
	unitEnd      = "# signpost migrate: end\n"
)

// installedUnit returns nil where there is none.
func installedUnit(ctx context.Context) *unit {
	if systemctl(ctx, "cat", unitService, unitSocket) != nil {
		return nil
	}
	return &unit{}
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return finding.WithHint(fmt.Errorf("systemctl %s: %w %s", strings.Join(args, " "), err, bytes.TrimSpace(out)),
			"journalctl -u signpostd says more")
	}
	return nil
}

// configure puts the settings where the unit reads them. What is taken back last is the
// state of the units, for they are to see settings and keys as they were.
func (u *unit) configure(ctx context.Context, settings []importSetting, done *undo) error {
	before, err := os.ReadFile(unitSettings)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	*done = append(*done, u.asItIs(ctx))
	if err := rewrite(unitSettings, withSettings(string(before), settings)); err != nil {
		return fmt.Errorf("writing %s: %w", unitSettings, finding.FileHint(err, filepath.Dir(unitSettings)))
	}
	*done = append(*done, func() error {
		if missing {
			return os.Remove(unitSettings)
		}
		return rewrite(unitSettings, string(before))
	})
	return nil
}

// rewrite gives a file another content, and leaves it its mode and owner. Of a link it is
// the file that this leads to.
func rewrite(name, text string) error {
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	mode, adjust, err := atomicfile.Like(name, 0o644)
	if err != nil {
		return err
	}
	return atomicfile.Replace(name, mode, adjust, func(w *bufio.Writer) { w.WriteString(text) })
}

// start starts it, now and at boot.
func (u *unit) start(ctx context.Context) error {
	u.begun = true
	if err := systemctl(ctx, "enable", "--now", unitSocket); err != nil {
		return err
	}
	if err := systemctl(ctx, "enable", unitService); err != nil {
		return err
	}
	return systemctl(ctx, "restart", unitService)
}

// asItIs returns what puts the units into the state that they are in now.
func (u *unit) asItIs(ctx context.Context) func() error {
	var steps [][]string
	for _, name := range []string{unitSocket, unitService} {
		if systemctl(ctx, "is-enabled", "--quiet", name) != nil {
			steps = append(steps, []string{"disable", name})
		}
	}
	if systemctl(ctx, "is-active", "--quiet", unitSocket) != nil {
		steps = append(steps, []string{"stop", unitSocket})
	}
	state, _ := exec.CommandContext(ctx, "systemctl", "show", "--property=ActiveState", "--value", unitService).Output()
	switch strings.TrimSpace(string(state)) {
	case "active", "reloading":
		steps = append(steps, []string{"restart", unitService})
	case "activating": // it fails, perhaps, and is tried again and again
		steps = append(steps, []string{"restart", "--no-block", unitService})
	default:
		steps = append(steps, []string{"stop", unitService})
	}
	return func() error {
		if !u.begun {
			return nil
		}
		for _, step := range steps {
			if err := systemctl(ctx, step...); err != nil {
				return fmt.Errorf("settings, keys and Postfix are as they were, and signpostd is not: %w", err)
			}
		}
		return nil
	}
}

// withSettings puts settings into a file of variables, in a block of their own.
func withSettings(text string, settings []importSetting) string {
	if before, rest, ok := strings.Cut(text, unitBegin); ok {
		_, after, ended := strings.Cut(rest, unitEnd)
		if !ended {
			after = rest // somebody took the mark away: what is set below it stays
		}
		text = before + after
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	var b strings.Builder
	b.WriteString(text + unitBegin)
	for _, s := range settings {
		fmt.Fprintf(&b, "%s=%s\n", s.Variable, strconv.Quote(s.Value))
	}
	b.WriteString(unitEnd)
	return b.String()
}

// makeKeyDir makes a key directory that the service can read; others as they come.
func (u *unit) makeKeyDir(dir string, done *undo) error {
	if u == nil || exists(dir) {
		return nil
	}
	group, err := user.LookupGroup(unitUser)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(group.Gid)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if !exists(parent) {
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return finding.WithHint(err, "run this as root")
		}
		*done = append(*done, func() error { return os.Remove(parent) })
	}
	if err := os.Mkdir(dir, 0o750); err != nil {
		return finding.WithHint(err, "run this as root")
	}
	*done = append(*done, func() error { return os.Remove(dir) })
	return errors.Join(os.Chown(dir, 0, gid), os.Chmod(dir, 0o750))
}
