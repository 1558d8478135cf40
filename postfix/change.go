package postfix

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"signpost/keystore/finding"
)

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
	written  bool
}

// needed reports whether there is anything to do.
func (e edit) needed() bool {
	return e.loose || (e.old == nil) != (e.new == nil) || !bytes.Equal(e.old, e.new)
}

// A Map is a file of the configuration directory that main.cf names.
type Map struct {
	Name    string
	Content []byte // nil for no such file
	Secret  bool   // it holds passwords: for its owner only, never shown
}

// Change works out the edits that give main.cf these parameters, and the
// directory these maps. It writes nothing.
func (d *Dir) Change(parameters []Parameter, maps ...Map) (*Change, error) {
	var edits []edit
	for _, m := range maps {
		edits = append(edits, edit{path: m.Name, new: m.Content, secret: m.Secret})
	}
	// main.cf comes last, for it names the maps: a crash between two renames
	// leaves no main.cf with a map that is not there.
	edits = append(edits, edit{path: "master.cf"}, edit{path: "main.cf", new: d.Main.With(parameters).Bytes()})
	change := &Change{}
	for _, e := range edits {
		e.path = filepath.Join(d.Path, e.path)
		if err := e.read(); err != nil {
			return nil, err
		}
		if filepath.Base(e.path) == "master.cf" {
			if e.old == nil {
				return nil, finding.WithHint(fmt.Errorf("%s does not exist", e.path),
					"copy the master.cf of the package there, on Debian /usr/share/postfix/master.cf.dist")
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
	data, err := readFile(e.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return finding.WithHint(err, "run this as root")
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
