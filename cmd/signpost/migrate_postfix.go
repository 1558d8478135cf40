package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/regular"
	"signpost/milter"
	"signpost/milter/verify"
	"signpost/postfix"
)

// journal says what a migration has changed, for the way back.
type journal struct {
	Made     time.Time          `json:"made"`
	OpenDKIM string             `json:"opendkim"` // where it listens
	Milter   string             `json:"milter"`   // signpostd, as it is in main.cf
	Keys     string             `json:"keys"`     // the directory that they were copied to
	Domains  []string           `json:"domains"`
	Records  map[string]string  `json:"records"` // of the keys, by name
	Edits    []postfix.LineEdit `json:"edits"`
}

// journalPath is beside main.cf.
func journalPath(dir string) string { return filepath.Join(dir, "signpost-migrate.json") }

// switchPostfix changes main.cf and master.cf, and has Postfix read them.
func (m *cutOver) switchPostfix(ctx context.Context, done *undo) error {
	entry := journal{
		Made: time.Now().UTC(), OpenDKIM: m.compare.theirs.String(), Milter: m.to, Keys: m.keys, Domains: m.plan.Domains(),
		Records: make(map[string]string), Edits: m.edit.Edits,
	}
	for _, key := range m.plan.Keys {
		text, err := record.ForKey(key.Signer.Public())
		if err != nil {
			return err
		}
		entry.Records[record.Name(key.Selector, key.Domain)] = text.String()
	}
	text, err := json.MarshalIndent(entry, "", "  ")
	if err != nil {
		return err
	}
	path := journalPath(m.dir)
	if err := atomicfile.Replace(path, 0o644, nil,
		func(w *bufio.Writer) { w.Write(append(text, '\n')) }); err != nil {
		return fmt.Errorf("writing %s: %w", path, finding.FileHint(err, m.dir))
	}
	*done = append(*done, func() error { return os.Remove(path) })
	return change(ctx, m.dir, m.edit.Change, done)
}

// change changes the configuration of Postfix, which must find it good and read it.
func change(ctx context.Context, dir string, change *postfix.Change, done *undo) error {
	// The reload comes first, for it is undone last.
	*done = append(*done, func() error {
		if runPostfix(ctx, dir, "status") != nil {
			return nil // nobody has read anything
		}
		return runPostfix(ctx, dir, "reload")
	})
	*done = append(*done, func() error { return change.Reverse().Write() })
	if err := change.Write(); err != nil {
		return err
	}
	if err := runPostfix(ctx, dir, "check"); err != nil {
		return err
	}
	return runPostfix(ctx, dir, "reload")
}

// runPostfix runs a command of postfix(1).
func runPostfix(ctx context.Context, dir, command string) error {
	program := "/usr/sbin/postfix"
	if found, err := exec.LookPath("postfix"); err == nil {
		program = found
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, program, "-c", dir, command).CombinedOutput()
	if err != nil {
		return finding.WithHint(fmt.Errorf("postfix -c %s %s: %w %s", dir, command, err, bytes.TrimSpace(out)),
			"the log of Postfix says why; it must run, and this must be run as root")
	}
	return nil
}

// asPostfix makes sure that the user of Postfix reaches the milter, where we can be that
// user.
func asPostfix(ctx context.Context, address milter.Address, domain string) error {
	owner, err := user.Lookup("postfix")
	if err != nil || os.Geteuid() != 0 {
		return nil
	}
	uid, uidErr := strconv.ParseUint(owner.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(owner.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	check := exec.CommandContext(ctx, "/proc/self/exe", "health", "--socket", address.String(), "--domains", domain)
	check.Dir, check.Env = "/", []string{}
	check.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	out, err := check.CombinedOutput()
	if err != nil {
		return finding.WithHint(fmt.Errorf("the user postfix does not reach signpostd at %s: %w\n%s", address, err,
			bytes.TrimSpace(out)), "Postfix must be able to enter the directory of the socket")
	}
	return nil
}

// migrateBack switches back to OpenDKIM.
func migrateBack(c *cli.Context) error {
	if c.Args().Present() {
		return usageError("--back takes no arguments, not %q", c.Args().First())
	}
	dir := c.String("config-dir")
	path := journalPath(dir)
	entry, edit, err := readJournal(path)
	if errors.Is(err, fs.ErrNotExist) {
		return finding.WithHint(fmt.Errorf("%s: there was no migration, or it was taken back", path),
			"name the directory of main.cf with --config-dir")
	}
	if err != nil {
		return err
	}
	compare := comparing{onDisk: entry.source()}
	if compare.theirs, err = milter.ParseAddress(entry.OpenDKIM); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := compare.stillSigns(c.Context, entry.Domains); err != nil {
		return errors.Join(err, errors.New("nothing was changed"))
	}
	fmt.Fprintf(c.App.Writer, "OpenDKIM at %s signs for %s\n\n%s", compare.theirs,
		plural(len(entry.Domains), "domain"), edit.Diff())
	if goOn, err := confirmed(c); err != nil || !goOn {
		return err
	}
	ctx := context.WithoutCancel(c.Context)
	var done undo
	if err = change(ctx, dir, edit, &done); err == nil {
		err = compare.stillSigns(ctx, entry.Domains)
	}
	if err != nil {
		return errors.Join(err, done.run())
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	say(c, "Postfix passes mail to OpenDKIM")
	if now, err := postfix.ReadConfig(dir); err == nil && slices.Contains(now.MilterAddresses(), entry.Milter) {
		warn(c, "%w", finding.WithHint(fmt.Errorf("lines that were added since the switch pass mail to %s still",
			entry.Milter), "change them before you stop signpostd; postconf -P and postconf smtpd_milters show them"))
	}
	fmt.Fprintf(c.App.Writer, "\nsignpostd must go on for some minutes, for connections that began before.\n"+
		"If OpenDKIM was disabled, so that it starts at boot again: systemctl enable opendkim\n"+
		"The copies of the keys stay in %s.\n", entry.Keys)
	return nil
}

// readJournal reads a journal, and works out how to take back what it says.
func readJournal(path string) (*journal, *postfix.Change, error) {
	text, err := regular.Read(path, 1<<30)
	if err != nil {
		return nil, nil, finding.ReadHint(err, path)
	}
	entry := &journal{}
	if err := json.Unmarshal(text, entry); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	edit, err := postfix.Back(filepath.Dir(path), entry.Edits)
	return entry, edit, err
}

// switchedAlready is an error where a journal is left.
func switchedAlready(dir string) error {
	path := journalPath(dir)
	if !exists(path) {
		return nil
	}
	entry, edit, err := readJournal(path)
	files := make(map[string]bool)
	if err == nil {
		for _, e := range entry.Edits {
			files[e.File] = true
		}
	}
	switch {
	case err != nil:
	case len(edit.Summary()) == 0: // a switch that failed leaves it where Postfix could not be told of the way back
		return finding.WithHint(fmt.Errorf("%s: a switch failed, and Postfix has perhaps not read that it was taken back",
			path), "have it read that: %s", backCommand(dir))
	case len(edit.Summary()) < len(files):
		return finding.WithHint(fmt.Errorf("%s: a switch was interrupted, and not all of main.cf and master.cf is switched",
			path), "take it back, and begin again: %s", backCommand(dir))
	}
	return finding.WithHint(fmt.Errorf("%s: Postfix is switched to signpostd already", path),
		"if that was interrupted, Postfix has perhaps not read it: postfix -c %s reload; to switch back: %s",
		shellWord(dir), backCommand(dir))
}

// source are the records of a journal.
func (j *journal) source() *verify.Records { return verify.NewRecords(j.records()) }

// stillSigns says which domains OpenDKIM does not sign for, so that the signature verifies
// by the key that it had.
func (c *comparing) stillSigns(ctx context.Context, domains []string) error {
	for _, domain := range domains {
		_, signatures, err := c.sign(ctx, c.theirs, domain)
		if err == nil && len(signatures) == 0 {
			err = errors.New("it does not sign")
		}
		for _, s := range signatures {
			if s.Result != verify.Pass {
				err = fmt.Errorf("its signature with %s does not verify: %s", named(s), s.Reason)
			}
		}
		if err != nil {
			return finding.WithHint(fmt.Errorf("OpenDKIM at %s, mail from %s: %w", c.theirs, domain, err),
				"start OpenDKIM with the configuration that it had: systemctl enable --now opendkim")
		}
	}
	return nil
}
