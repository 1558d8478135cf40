package rotation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"signpost/keystore"
	"signpost/keystore/atomicfile"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// What is known of keys is kept in one format, by signpostd for all of them in its
// state directory, and by signpost rotate for one domain beside its keys. The first
// line is stateHeader, each further one a key that is there, or one to be made:
//
//	key DOMAIN SELECTOR PRINT PRESENCE ASKED ACTIVE STOPPED GONE
//	make DOMAIN SELECTOR TYPE BITS ORDERED
//
// with PRESENCE as unknown, there or missing, the times of a Mark in seconds since
// 1970, 0 for none, and half of the SHA-256 of name and public key as PRINT, in hex.
const stateHeader = "signpost state 2"

// The first version had lines of keys alone, without the first word and the last
// time.
const stateHeader1 = "signpost state 1"

// stateFile is the name of the file in the state directory. The first version called
// it formerStateFile.
const (
	stateFile       = "state"
	formerStateFile = "keys"
)

// Save keeps the state directory up to date until ctx ends. Without one it does
// nothing.
func (b *Book) Save(ctx context.Context) {
	if b.state == "" || b.mode == Off {
		return
	}
	failing := false
	save := func() (took time.Duration) {
		// Until all keys have been read the file knows more than the book.
		if b.remembered.Load() != nil || !b.changed.Swap(false) {
			return 0
		}
		start := time.Now()
		err := b.writeState()
		switch {
		case err != nil && !failing:
			b.log.Error("cannot save state", finding.Attr(err))
		case err == nil && failing:
			b.log.Info("state is saved again", "state", b.state)
		}
		if failing = err != nil; failing {
			b.changed.Store(true)
		}
		return time.Since(start)
	}
	for pause := saveSoon; ; {
		select {
		case <-ctx.Done():
			save()
			return
		case <-time.After(pause):
			pause = max(saveSoon, saveIdle*save())
		}
	}
}

// saveSoon is how long a change may wait to be written with others, and saveIdle
// how many times longer than writing takes nothing is written.
const (
	saveSoon = 2 * time.Second
	saveIdle = 50
)

// writeState writes what is known of the keys, line by line: of a hundred thousand
// domains that is ten megabytes.
func (b *Book) writeState() error {
	path := filepath.Join(b.state, stateFile)
	err := atomicfile.Replace(path, 0o600, nil, func(w *bufio.Writer) {
		fmt.Fprintln(w, stateHeader)
		for _, name := range b.store.Snapshot().Domains() {
			p := b.page(name)
			for i, m := range p.marks {
				if m != (Mark{}) {
					writeMark(w, p.list()[i], m)
				}
			}
		}
	})
	if err != nil {
		return fmt.Errorf("writing the state %s: %w", path, finding.FileHint(err, filepath.Dir(path)))
	}
	return nil
}

func writeMark(w io.Writer, key *keystore.Key, m Mark) {
	fmt.Fprintf(w, "key %s %s %x %s %d %d %d %d\n", key.Domain, key.Selector, fingerprintOf(key),
		m.Presence, m.Asked, m.Active, m.Stopped, m.Gone)
}

// readState reads the file in the state directory. A file that is not there is no
// error; one that is damaged is, and what could be read of it counts. Nothing, and an
// error, is for a directory or a file that cannot be read.
func readState(dir string) (map[fingerprint]Mark, error) {
	file := filepath.Join(dir, stateFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		file = filepath.Join(dir, formerStateFile)
		data, err = os.ReadFile(file)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) {
		if _, err := os.Stat(dir); err != nil {
			return nil, fmt.Errorf("reading the state directory %s: %w", dir, finding.FileHint(err, dir))
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state %s: %w", file, finding.FileHint(err, file))
	}
	state, err := parseState(data)
	if err != nil {
		return state.marks, finding.WithHint(fmt.Errorf("the state %s: %w", file, err),
			"the rest of it is ignored, and the file written anew")
	}
	return state.marks, nil
}

// stateText is what a file of the state says.
type stateText struct {
	marks   map[fingerprint]Mark
	orders  []Order
	ordered time.Time
}

func parseState(data []byte) (s stateText, err error) {
	s.marks = make(map[fingerprint]Mark)
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Scan()
	header := lines.Text()
	if header != stateHeader && header != stateHeader1 {
		return s, fmt.Errorf("it does not begin with %q", stateHeader)
	}
	for n := 2; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if header == stateHeader1 {
			fields = append(append([]string{"key"}, fields...), "0")
		}
		if err := s.line(fields); err != nil {
			return s, fmt.Errorf("line %d: %w", n, err)
		}
	}
	return s, lines.Err()
}

func (s *stateText) line(fields []string) error {
	switch {
	case len(fields) == 9 && fields[0] == "key":
		p, m, err := parseMark(fields[1:])
		if err == nil {
			s.marks[p] = m
		}
		return err
	case len(fields) == 6 && fields[0] == "make":
		bits, err := strconv.Atoi(fields[4])
		at, atErr := strconv.ParseUint(fields[5], 10, 32)
		if err = errors.Join(err, atErr); err != nil {
			return err
		}
		s.orders = append(s.orders, Order{Selector: fields[2], Algorithm: keystore.Algorithm(fields[3]), Bits: bits})
		s.ordered = Moment(at).Time()
		return nil
	}
	return fmt.Errorf("neither a key nor an order: %q", strings.Join(fields, " "))
}

func parseMark(fields []string) (p fingerprint, m Mark, err error) {
	if n, err := hex.Decode(p[:], []byte(fields[2])[:min(len(fields[2]), 2*len(p))]); err != nil || n != len(p) {
		return p, m, fmt.Errorf("invalid fingerprint of a key %q", fields[2])
	}
	for m.Presence = dns.Unknown; m.Presence.String() != fields[3]; m.Presence++ {
		if m.Presence == dns.Missing {
			return p, Mark{}, fmt.Errorf("%q is none of unknown, there, missing", fields[3])
		}
	}
	for i, into := range []*Moment{&m.Asked, &m.Active, &m.Stopped, &m.Gone} {
		value, err := strconv.ParseUint(fields[4+i], 10, 32)
		if err != nil {
			return p, Mark{}, fmt.Errorf("invalid time %q", fields[4+i])
		}
		*into = Moment(value)
	}
	return p, m, nil
}
