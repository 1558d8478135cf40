package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
)

// undo is what takes steps back, the last first.
type undo []func() error

// run stops at a step that cannot be taken back: it stands on those before it. While
// Postfix passes mail to signpostd, that needs its keys, and the way back the journal.
func (u undo) run() error {
	for _, step := range slices.Backward(u) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// do makes the switch. An error leaves everything as it was.
func (m *cutOver) do(c *cli.Context) error {
	var done undo
	err := m.takeSteps(c, &done)
	if err == nil {
		return nil
	}
	if undone := done.run(); undone != nil {
		undone = fmt.Errorf("and taking back what was done failed: %w", undone)
		if exists(journalPath(m.dir)) {
			undone = finding.WithHint(undone, "mend that, and then: %s", backCommand(m.dir))
		}
		return errors.Join(err, undone)
	}
	return errors.Join(err, errors.New("everything is as it was"))
}

// takeSteps makes the switch, and notes how to take each step back.
func (m *cutOver) takeSteps(c *cli.Context, done *undo) error {
	// It must be possible to finish what is begun, so that is not stopped.
	ctx := context.WithoutCancel(c.Context)
	if err := runPostfix(ctx, m.dir, "check"); err != nil {
		return err
	}
	if m.unit != nil {
		if err := m.unit.configure(ctx, m.settings, done); err != nil {
			return err
		}
	}
	if err := m.copyKeys(c, done); err != nil {
		return err
	}
	if m.unit != nil {
		if err := m.unit.start(ctx); err != nil {
			return err
		}
	}
	if !listens(m.compare.ours) {
		return finding.WithHint(fmt.Errorf("signpostd does not answer at %s", m.compare.ours),
			"start it with the settings above, then repeat this: %s", m.command(c))
	}
	say(c, "signpostd answers at %s", m.compare.ours)
	if err := m.awaitAlike(c); err != nil {
		return err
	}
	if err := asPostfix(ctx, m.compare.ours, m.plan.Domains()[0]); err != nil {
		return err
	}
	say(c, "it signs for %s as OpenDKIM does", plural(len(m.plan.Domains()), "domain"))
	if err := m.switchPostfix(ctx, done); err != nil {
		return err
	}
	say(c, "Postfix passes mail to signpostd")
	if _, err := m.compare.all(ctx, m.plan.Domains(), false); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "\nOpenDKIM must go on for some minutes, for connections that began before.\n"+
		"Then: systemctl disable --now opendkim\nTo switch back: %s\n", backCommand(m.dir))
	if option := keysOption(m.keys); option != "" {
		fmt.Fprintf(c.App.Writer, "For signpost keys, check, rotate and others: export SIGNPOST_KEYS=%s\n", m.keys)
	}
	return nil
}

// awaitAlike compares the signpostd that is to sign. One that runs takes a moment to load
// new keys.
func (m *cutOver) awaitAlike(c *cli.Context) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) {
		_, err := m.compare.all(c.Context, m.plan.Domains(), subdomainsOf(m.settings))
		if err == nil || errors.Is(err, errStopped) {
			return err
		}
		if time.Now().After(deadline) {
			return errors.Join(err, finding.WithHint(
				fmt.Errorf("the signpostd at %s does not sign as OpenDKIM does", m.compare.ours),
				"does it read the keys in %s, and has it the settings above?", m.keys))
		}
	}
}

// copyKeys puts the keys into the key directory.
func (m *cutOver) copyKeys(c *cli.Context, done *undo) error {
	dir := m.keys
	if err := m.unit.makeKeyDir(dir, done); err != nil {
		return err
	}
	copied := 0
	for _, step := range m.steps {
		if step.State != migrate.New {
			continue
		}
		made := !exists(dir + "/" + step.Domain)
		file, err := keystore.Install(dir, step.Domain, step.Selector, step.Data, step.Time)
		if err != nil {
			return err
		}
		copied++
		*done = append(*done, func() error {
			err := os.Remove(file)
			if made {
				err = errors.Join(err, os.Remove(dir+"/"+step.Domain))
			}
			return err
		})
	}
	if copied > 0 {
		say(c, "copied %s to %s", plural(copied, "key"), dir)
	}
	return nil
}

func say(c *cli.Context, format string, args ...any) {
	fmt.Fprintf(c.App.ErrWriter, "signpost: "+format+"\n", args...)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
