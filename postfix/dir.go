package postfix

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Dir is a configuration directory as it is on disk.
type Dir struct {
	Path string  // absolute
	Main *MainCF // empty when there is no main.cf
}

// Open reads main.cf of a configuration directory. A main.cf that is not there
// is an empty one: Debian writes none when it is installed without questions.
func Open(dir string) (*Dir, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("configuration directory %q: %w", dir, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("configuration directory: %w; hint: install Postfix, or name another directory with --config-dir", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("configuration directory %s is no directory; hint: name the directory that has main.cf", path)
	}
	name := filepath.Join(path, "main.cf")
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("main.cf: %w; hint: run this as root", err)
	}
	main, err := ParseMain(name, data)
	if err != nil {
		return nil, err
	}
	return &Dir{Path: path, Main: main}, nil
}

// A Change is what has to be done to the files of a configuration directory.
type Change struct {
	files []edit
}

// edit is what has to be done to one file.
type edit struct {
	path     string
	old, new []byte // nil where there is no such file, before or after
	secret   bool   // for its owner only, never shown
	loose    bool   // a secret that others can read
}

// needed reports whether there is anything to do.
func (e edit) needed() bool {
	return e.loose || (e.old == nil) != (e.new == nil) || !bytes.Equal(e.old, e.new)
}

// Change works out the edits that make the directory as wanted. It writes
// nothing.
func (d *Dir) Change(wanted *Wanted) (*Change, error) {
	// main.cf comes last, for it names the maps: a crash between two renames
	// leaves no main.cf with a map that is not there.
	edits := []edit{
		{path: sendersFile, new: wanted.Senders},
		{path: passwordFile, new: wanted.Password, secret: true},
		{path: "master.cf"},
		{path: "main.cf", new: d.Main.With(wanted.Settings).Bytes()},
	}
	change := &Change{}
	for _, e := range edits {
		e.path = filepath.Join(d.Path, e.path)
		if err := e.read(); err != nil {
			return nil, err
		}
		if filepath.Base(e.path) == "master.cf" {
			if e.old == nil {
				return nil, fmt.Errorf("%s does not exist; hint: copy the master.cf of the package there, on Debian /usr/share/postfix/master.cf.dist", e.path)
			}
			var err error
			if e.new, err = editMaster(e.path, e.old); err != nil {
				return nil, err
			}
		}
		if e.needed() {
			change.files = append(change.files, e)
		}
	}
	return change, nil
}

// read fills in what there is.
func (e *edit) read() error {
	// A link is followed, so that the file it points to is replaced and the
	// link stays.
	if target, err := filepath.EvalSymlinks(e.path); err == nil {
		e.path = target
	}
	data, err := os.ReadFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; hint: run this as root", err)
	}
	e.old = append([]byte{}, data...) // never nil, also for an empty file
	info, err := os.Stat(e.path)
	if err != nil {
		return err
	}
	e.loose = e.secret && e.new != nil && info.Mode().Perm() != secretMode
	return nil
}

// Summary says in a line for each file what Write does, in the past tense; it
// is empty when all is as wanted.
func (c *Change) Summary() []string {
	var lines []string
	for _, e := range c.files {
		verb := "wrote "
		if e.new == nil {
			verb = "removed "
		}
		lines = append(lines, verb+e.path)
	}
	return lines
}

// A FileChange is what changes in one file, with secrets hidden.
type FileChange struct {
	Path string `json:"path"`
	Diff string `json:"diff"`
}

// Files returns the change of each file; none when there is nothing to do.
func (c *Change) Files() []FileChange {
	files := []FileChange{}
	for _, e := range c.files {
		text := fmt.Sprintf("%s: changes, content not shown\n", e.path)
		if !e.secret {
			text = fmt.Sprintf("--- %s\n+++ %s\n", e.path, e.path) + diff(splitLines(string(e.old)), splitLines(string(e.new)))
		}
		files = append(files, FileChange{e.path, text})
	}
	return files
}

// Diff shows the change, with secrets hidden.
func (c *Change) Diff() string {
	var b strings.Builder
	for _, f := range c.Files() {
		b.WriteString(f.Diff)
	}
	return b.String()
}
