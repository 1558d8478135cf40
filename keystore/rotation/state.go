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
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"signpost/keystore"
	"signpost/keystore/atomicfile"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// What is known of keys is kept in one format, by signpostd for all of them in its
// state directory, and by signpost rotate for one domain beside its keys. The first
// line is stateHeader, each further one a key that is there, or one to be made:
//
//	key DOMAIN SELECTOR PRINT PRESENCE ASKED ACTIVE STOPPED GONE [PROVEN LACKING]
//	make DOMAIN SELECTOR TYPE BITS ORDERED
//	node NAME here|gone
//
// with PRESENCE as unknown, there or missing, the times of a Mark in seconds since
// 1970, 0 for none, and half of the SHA-256 of name and public key as PRINT, in hex.
// The last line is for whose state it is, and whether that has stopped.
const stateHeader = "signpost state 2"

// The first version had lines of keys alone, without the first word and the last
// time.
const stateHeader1 = "signpost state 1"

// The name of a file in the state directory is statePrefix with that of the node. Nodes
// had no names in former versions: one called it stateFile, the first formerStateFile.
const (
	statePrefix     = "state."
	stateFile       = "state"
	formerStateFile = "keys"
)

// State is where what is known is kept over a restart.
type State struct {
	Dir  string // which several nodes may share; "" for none
	Node string // the name of this one
}

// file returns the path of the file of this node.
func (s State) file() string { return filepath.Join(s.Dir, statePrefix+s.Node) }

// maxState bounds what is read: of a hundred thousand domains it is ten megabytes.
const maxState = 1 << 30

// Save keeps the state directory up to date until ctx ends. Without one it does
// nothing.
func (b *Book) Save(ctx context.Context) {
	if b.state.Dir == "" || b.mode == Off {
		return
	}
	failing := false
	var beat time.Time // when others could last see that this node lives
	save := func(gone bool) (took time.Duration) {
		// Until all keys have been read the file knows more than the book.
		if b.remembered.Load() != nil {
			return 0
		}
		start := time.Now()
		if !b.changed.Swap(false) && !gone {
			if start.Sub(beat) >= heartbeat {
				beat = start
				b.state.beat()
			}
			return 0
		}
		err := b.writeState(gone)
		switch {
		case err != nil && !failing:
			b.log.Error("cannot save state", finding.Attr(err))
		case err == nil && failing:
			b.log.Info("state is saved again", "state", b.state.Dir)
		}
		if failing = err != nil; failing {
			b.changed.Store(true)
		}
		beat = start
		return time.Since(start)
	}
	for pause := saveSoon; ; {
		select {
		case <-ctx.Done():
			save(true)
			return
		case <-time.After(pause):
			pause = max(saveSoon, saveIdle*save(false))
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
func (b *Book) writeState(gone bool) error {
	path := b.state.file()
	err := atomicfile.Replace(path, 0o600, nil, func(w *bufio.Writer) {
		fmt.Fprintln(w, stateHeader)
		fmt.Fprintf(w, "node %s %s\n", b.state.Node, map[bool]string{true: "gone", false: "here"}[gone])
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
	fmt.Fprintf(w, "key %s %s %x %s %d %d %d %d", key.Domain, key.Selector, fingerprintOf(key),
		m.Presence, m.Asked, m.Active, m.Stopped, m.Gone)
	if m.Proven != None || m.Lacking != None {
		fmt.Fprintf(w, " %d %d", m.Proven, m.Lacking)
	}
	fmt.Fprintln(w)
}

// read reads the file of this node or, where it has none, the newest one in the
// directory: a container has another name each time it is made. No file is no error; one
// that is damaged is, and what could be read of it counts. Nothing, and an error, is for a
// directory or a file that cannot be read.
func (s State) read(now Moment) (map[fingerprint]Mark, error) {
	file := s.file()
	if _, err := os.Lstat(file); errors.Is(err, fs.ErrNotExist) {
		if file, err = s.newest(); err != nil || file == "" {
			return nil, err
		}
	}
	data, err := regular.Read(file, maxState)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EISDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state %s: %w", file, finding.FileHint(err, file))
	}
	state, err := parseState(data)
	for print, m := range state.marks {
		// The clock may have been ahead, and what is learned now is later.
		m.Asked, m.Proven, m.Lacking = min(m.Asked, now), min(m.Proven, now), min(m.Lacking, now)
		state.marks[print] = m
	}
	if err != nil {
		return state.marks, finding.WithHint(fmt.Errorf("the state %s: %w", file, err),
			"the rest of it is ignored, and the file written anew")
	}
	return state.marks, nil
}

// newest returns the file in the directory that was written last, "" for none.
func (s State) newest() (file string, err error) {
	files, err := s.files()
	if err != nil {
		return "", fmt.Errorf("reading the state directory %s: %w", s.Dir, finding.FileHint(err, s.Dir))
	}
	if former, err := os.Lstat(filepath.Join(s.Dir, formerStateFile)); err == nil && len(files) == 0 && !former.IsDir() {
		return filepath.Join(s.Dir, formerStateFile), nil
	}
	if len(files) == 0 {
		return "", nil
	}
	return filepath.Join(s.Dir, files[0].Name()), nil
}

// files returns what the directory has of all nodes, the file that was written last first.
func (s State) files() (files []fs.FileInfo, err error) {
	entries, err := os.ReadDir(s.Dir)
	for _, entry := range entries {
		if entry.Name() != stateFile && !strings.HasPrefix(entry.Name(), statePrefix) || entry.IsDir() {
			continue
		}
		if info, err := entry.Info(); err == nil {
			files = append(files, info)
		}
	}
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	return files, err
}

// stateText is what a file of the state says.
type stateText struct {
	marks   map[fingerprint]Mark
	orders  []Order
	ordered time.Time
	gone    bool // the node has stopped
}

func parseState(data []byte) (s stateText, err error) {
	s.marks = make(map[fingerprint]Mark)
	err = scanState(bytes.NewReader(data), s.line)
	return s, err
}

// scanState calls line for each line of a state but the first, until there is an error.
func scanState(from io.Reader, line func(fields []string) error) error {
	lines := bufio.NewScanner(from)
	lines.Scan()
	header := lines.Text()
	if header != stateHeader && header != stateHeader1 {
		return fmt.Errorf("it does not begin with %q", stateHeader)
	}
	for n := 2; lines.Scan(); n++ {
		fields := strings.Fields(lines.Text())
		if header == stateHeader1 {
			fields = append(append([]string{"key"}, fields...), "0")
		}
		if err := line(fields); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return lines.Err()
}

func (s *stateText) line(fields []string) error {
	switch {
	case len(fields) >= 9 && fields[0] == "key":
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
	case len(fields) == 3 && fields[0] == "node":
		s.gone = fields[2] == "gone"
		return nil
	}
	return fmt.Errorf("neither a key nor an order: %q", strings.Join(fields, " "))
}

func parseMark(fields []string) (p fingerprint, m Mark, err error) {
	if len(fields) != 8 && len(fields) != 10 {
		return p, m, fmt.Errorf("a key has 8 or 10 fields, not %d", len(fields))
	}
	if p, err = parseFingerprint(fields[2]); err != nil {
		return p, m, err
	}
	for m.Presence = dns.Unknown; m.Presence.String() != fields[3]; m.Presence++ {
		if m.Presence == dns.Missing {
			return p, Mark{}, fmt.Errorf("%q is none of unknown, there, missing", fields[3])
		}
	}
	moments := []*Moment{&m.Asked, &m.Active, &m.Stopped, &m.Gone, &m.Proven, &m.Lacking}
	for i, text := range fields[4:] {
		if *moments[i], err = parseMoment(text); err != nil {
			return p, Mark{}, err
		}
	}
	return p, m, nil
}

func parseFingerprint(text string) (p fingerprint, err error) {
	if n, err := hex.Decode(p[:], []byte(text)[:min(len(text), 2*len(p))]); err != nil || n != len(p) {
		return p, fmt.Errorf("invalid fingerprint of a key %q", text)
	}
	return p, nil
}

func parseMoment(text string) (Moment, error) {
	value, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return None, fmt.Errorf("invalid time %q", text)
	}
	return Moment(value), nil
}
