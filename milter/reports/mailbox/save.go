package mailbox

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/emersion/go-imap/v2"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/regular"
	"signpost/milter/reports"
)

// Saved counts the messages that Save fetched.
type Saved struct {
	New      int      // that were not there the last time
	Kept     int      // with a report, or with one that cannot be read
	Without  int      // a report
	TooLarge []string // that were not fetched, as Found.Where names them
}

// Save fetches the messages that are new since the last time, and keeps those with reports in
// dir, which is made when it does not exist. What it keeps is named after folder and UID, so that
// it may be interrupted at any time and called again.
func Save(ctx context.Context, c Config, dir string) (Saved, error) {
	var saved Saved
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return saved, fmt.Errorf("making %s: %w", dir, finding.FileHint(err, filepath.Dir(dir)))
	}
	s, err := open(ctx, c)
	if err != nil {
		return saved, err
	}
	defer s.close()
	store := newStore(dir, s)
	if err := store.load(); err != nil {
		return saved, err
	}
	uids, err := s.list(store.state.Last)
	if err != nil {
		return saved, err
	}
	err = s.fetch(uids, func(m message) (bool, error) {
		saved.New++
		return true, store.keep(ctx, m, s.limits, &saved)
	}, func(last imap.UID) error {
		store.state.Last = last
		return store.write()
	})
	if err == nil && s.uidNext > store.state.Last {
		store.state.Last = s.uidNext - 1
	}
	return saved, errors.Join(err, store.write())
}

// store is the directory that messages are kept in.
type store struct {
	dir    string
	prefix string // of the names of messages
	file   string // of the state
	state  state
}

// state is what is remembered of a folder.
type state struct {
	Mailbox     string    `json:"mailbox"` // for people
	UIDValidity uint32    `json:"uidvalidity"`
	Last        imap.UID  `json:"last_uid"` // that was looked at
	Since       time.Time `json:"since"`    // messages that arrived before were not
}

func newStore(dir string, s *session) *store {
	name := s.server.user + "@" + s.server.name()
	hash := fmt.Sprintf("%.6x", sha256.Sum256([]byte(name)))
	return &store{
		dir:    dir,
		prefix: fmt.Sprintf("%s.%d.", hash, s.uidValidity),
		file:   filepath.Join(dir, ".imap-"+hash+".json"),
		state:  state{Mailbox: name, UIDValidity: s.uidValidity, Since: s.since},
	}
}

// load takes over what is remembered, unless the server has numbered its messages anew, or older
// ones than the last time are asked for.
func (s *store) load() error {
	text, err := regular.Read(s.file, 64<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.file, finding.ReadHint(err, s.file))
	}
	var old state
	if err := json.Unmarshal(text, &old); err != nil {
		return finding.WithHint(fmt.Errorf("%s: %w", s.file, err), "delete it: all messages are fetched anew")
	}
	if old.UIDValidity == s.state.UIDValidity && !s.state.Since.Before(old.Since) {
		s.state.Last, s.state.Since = old.Last, old.Since
	}
	return nil
}

func (s *store) write() error {
	return atomicfile.Replace(s.file, 0o600, nil, func(w *bufio.Writer) {
		json.NewEncoder(w).Encode(s.state)
	})
}

// keep writes a message to a file if there is a report in it.
func (s *store) keep(ctx context.Context, m message, limits reports.Limits, saved *Saved) error {
	if m.data == nil {
		saved.TooLarge = append(saved.TooLarge, m.where)
		return nil
	}
	kept := false
	err := reports.ReadMessage(ctx, m.where, m.reader(), limits, func(f reports.Found) bool {
		kept = f.Without == ""
		return !kept
	})
	if err != nil {
		return err
	}
	if !kept {
		saved.Without++
		return nil
	}
	saved.Kept++
	name := filepath.Join(s.dir, fmt.Sprintf("%s%d.eml", s.prefix, m.uid))
	_, err = atomicfile.Create(name, m.data, 0o640, nil)
	return err
}
