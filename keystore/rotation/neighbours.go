package rotation

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

const (
	// heartbeat is how often a node touches its file, for others to see that it lives.
	heartbeat = 30 * time.Second
	// The files of nodes that have gone are removed after keepFor, and sooner where a node
	// has another name at each start and leaves many.
	keepFor   = 30 * 24 * time.Hour
	keepMany  = 24 * time.Hour
	manyFiles = 16
	// batch is how many findings are taken together.
	batch = 1000
)

// beat changes the time of the file of this node, and nothing else: signpostd is not
// allowed to set times, so it writes the first byte again.
func (s State) beat() {
	file, err := os.OpenFile(s.file(), os.O_WRONLY, 0)
	if err != nil {
		return // it is written anew with the next change
	}
	_, _ = file.WriteAt([]byte(stateHeader[:1]), 0)
	_ = file.Close()
}

// Neighbours are the nodes that share a state directory: what they have found is in their
// files.
type Neighbours struct {
	state State
	log   *slog.Logger
	seen  map[string]*neighbour // by file name
}

type neighbour struct {
	info  fs.FileInfo // as it was last seen, and read
	moved time.Time   // when it was seen to change
	again time.Time   // before which it is not read again
	gone  bool        // it says that the node has stopped
	bad   bool        // it is damaged, and that is logged
}

// Neighbours returns the nodes that share the state directory of the book.
func (b *Book) Neighbours() *Neighbours {
	return &Neighbours{state: b.state, log: b.log, seen: make(map[string]*neighbour)}
}

// Name is the state directory.
func (n *Neighbours) Name() string { return n.state.Dir }

// Fetch reads the files of other nodes that have changed. One that is damaged is logged
// once, and what could be read of it counts.
func (n *Neighbours) Fetch(ctx context.Context, found func([]Finding)) (nodes []string, err error) {
	files, err := n.state.files()
	now := time.Now()
	own := filepath.Base(n.state.file())
	clock := now // but rather that of the file system, which the times of all files are by
	files = slices.DeleteFunc(files, func(f fs.FileInfo) bool {
		if f.Name() == own {
			clock = f.ModTime()
		}
		return f.Name() == own
	})
	for i, file := range files {
		old := clock.Sub(file.ModTime())
		if old > keepFor || old > keepMany && i >= manyFiles {
			_ = os.Remove(filepath.Join(n.state.Dir, file.Name()))
			delete(n.seen, file.Name())
			continue
		}
		if ctx.Err() != nil {
			return nodes, ctx.Err()
		}
		one := n.look(file, found, now)
		name := strings.TrimPrefix(file.Name(), statePrefix)
		// One without a name is of a former version, which divides nothing.
		if file.Name() != stateFile && validNode(name) && !one.gone && now.Sub(one.moved) < aliveFor {
			nodes = append(nodes, name)
		}
	}
	return nodes, err
}

// look reads a file if it has been replaced.
func (n *Neighbours) look(file fs.FileInfo, found func([]Finding), now time.Time) *neighbour {
	one := n.seen[file.Name()]
	fresh := one == nil
	if fresh {
		one = &neighbour{moved: file.ModTime()} // by the clock of the file system: it may have gone long ago
		if one.moved.After(now) {
			one.moved = now
		}
		n.seen[file.Name()] = one
	} else if !file.ModTime().Equal(one.info.ModTime()) {
		one.moved = now
	}
	replaced := fresh || !os.SameFile(file, one.info) || file.Size() != one.info.Size()
	if !replaced || now.Before(one.again) {
		if !replaced {
			one.info = file
		}
		return one
	}
	one.info = file
	gone, err := readNeighbour(filepath.Join(n.state.Dir, file.Name()), found)
	one.gone, one.again = gone, time.Now().Add(saveIdle*time.Since(now))
	if err != nil && !one.bad && !errors.Is(err, fs.ErrNotExist) {
		n.log.Warn("the state of another node is lost in part", "file", filepath.Join(n.state.Dir, file.Name()),
			finding.Attr(err))
	}
	one.bad = err != nil
	return one
}

// readNeighbour reads the findings in a state file of another node.
func readNeighbour(path string, found func([]Finding)) (gone bool, err error) {
	file, _, err := regular.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	var batched []Finding
	err = scanState(io.LimitReader(file, maxState), func(fields []string) error {
		var s stateText
		switch {
		case len(fields) >= 9 && fields[0] == "key":
			print, m, err := parseMark(fields[1:])
			if err != nil {
				return err
			}
			f := Finding{Domain: fields[1], Selector: fields[2], print: print}
			batched = append(batched, m.onto(f))
		default:
			err := s.line(fields)
			gone = s.gone
			return err
		}
		if len(batched) == batch {
			found(batched)
			batched = nil
		}
		return nil
	})
	found(batched)
	return gone, err
}
