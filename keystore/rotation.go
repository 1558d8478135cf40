package keystore

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"signpost/keystore/dns"
)

// Rotation is how far the change of a domain's keys has come. It is kept beside
// the keys, in a file that signpostd passes over, so that any replica can go on
// with it.
type Rotation struct {
	Made time.Time `json:"made,omitzero"`
	// To are the keys that were to be made.
	To []NewKey `json:"to,omitempty"`
	// Stopped is when each old key was first seen to sign no more, by selector: a
	// newer one of its kind is published and does.
	Stopped map[string]time.Time `json:"stopped,omitempty"`
	// Gone is when the record of an old key was first known to be out of the DNS.
	Gone map[string]time.Time `json:"gone,omitempty"`
}

// NewKey is a key that a rotation makes.
type NewKey struct {
	Selector  string    `json:"selector"`
	Algorithm Algorithm `json:"type"`
	Bits      int       `json:"bits"`
}

const rotationFile = ".rotation"

func rotationPath(dir, domain string) string { return filepath.Join(dir, domain, rotationFile) }

// ReadRotation returns the rotation of a domain that is under way, nil when none
// is.
func ReadRotation(dir, domain string) (*Rotation, error) {
	path := rotationPath(dir, domain)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, explain(err, path))
	}
	r := new(Rotation)
	if err := json.Unmarshal(data, r); err != nil || len(r.To) == 0 && len(r.Stopped) == 0 {
		return nil, fmt.Errorf("reading %s: it is damaged; hint: remove it, the rotation is then taken up from what the DNS says", path)
	}
	return r, nil
}

// Stage returns the stage of a key by what the DNS says of it and by the rotation
// that is under way, nil if none is, and since when it has it where that tells. A
// signpostd that runs knows more: what it signed with.
func (r *Rotation) Stage(key Asked, overlap time.Duration, now time.Time) (Stage, time.Time) {
	switch stopped := r.stopped(key.Selector); {
	case key.Signs:
		return Active, time.Time{}
	case !stopped.IsZero() && now.Sub(stopped) < overlap:
		return Retiring, stopped
	case !stopped.IsZero():
		return Retired, stopped.Add(overlap)
	case key.Said.Presence != dns.There:
		return Pending, time.Time{}
	}
	return Published, time.Time{}
}

// StagesOf returns the stages of the keys of a domain, by selector, as they are now
// for who has asked the DNS and knows no running signpostd. A rotation that cannot
// be read leaves it to the DNS alone.
func StagesOf(dir, domain string, keys []Asked) map[string]Stage {
	plan, _ := ReadRotation(dir, domain)
	stages := make(map[string]Stage)
	for _, key := range keys {
		stages[key.Selector], _ = plan.Stage(key, Overlap, time.Now())
	}
	return stages
}

func (r *Rotation) stopped(selector string) time.Time {
	if r == nil {
		return time.Time{}
	}
	return r.Stopped[selector]
}

// Write keeps the rotation. Who may read the keys may read it.
func (r *Rotation) Write(dir, domain string) error {
	path := rotationPath(dir, domain)
	data, err := json.Marshal(r)
	if err == nil {
		err = makeDir(filepath.Dir(path))
	}
	var rights access
	if err == nil {
		rights, err = accessIn(dir)
	}
	if err == nil {
		err = replaceFile(path, 0o644, rights.give, func(w *bufio.Writer) { fmt.Fprintf(w, "%s\n", data) })
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, explain(err, existing(filepath.Dir(path))))
	}
	return nil
}

// EndRotation forgets the rotation of a domain.
func EndRotation(dir, domain string) error {
	path := rotationPath(dir, domain)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, explain(err, filepath.Dir(path)))
	}
	return nil
}

// Retire moves the file of a key, and the record beside it, out of signpostd's
// sight: to .retired/<domain>/<selector>.private in the key directory, with a number
// where an older key of that selector is. Nothing is overwritten. It returns where
// the key is now.
func Retire(dir string, key *Key) (string, error) {
	folder := filepath.Join(dir, ".retired", key.Domain)
	target := filepath.Join(folder, key.Selector)
	fail := func(err error) (string, error) {
		return target + ".private", fmt.Errorf("moving key %s to %s.private: %w", key.File, target, explain(err, existing(folder)))
	}
	if err := makeDir(folder); err != nil {
		return fail(err)
	}
	for n := 2; ; n++ {
		_, keyErr := os.Lstat(target + ".private")
		_, textErr := os.Lstat(target + ".txt")
		if keyErr != nil && textErr != nil {
			break
		}
		target = filepath.Join(folder, fmt.Sprintf("%s.%d", key.Selector, n))
	}
	// The key comes last: as long as it is there, another run goes on.
	text := strings.TrimSuffix(strings.TrimSuffix(key.File, ".private"), ".key") + ".txt"
	if err := os.Rename(text, target+".txt"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := os.Rename(key.File, target+".private"); err != nil {
		return fail(err)
	}
	return target + ".private", errors.Join(syncDir(folder), syncDir(filepath.Dir(key.File)))
}
