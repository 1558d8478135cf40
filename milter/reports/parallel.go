package reports

import (
	"context"
	"errors"
	"io/fs"
	"runtime"
	"sync"
	"syscall"

	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

const (
	// ahead is how many files of a folder may have been read and not told of.
	ahead = 64
	// waiting is how many are read at once where that may take waiting for the DNS.
	waiting = 8
	// light is how many bytes of a file are read before its turn to be told of has come. So there
	// is never more than one large message, or report, in memory.
	light = 1 << 20
)

// job is a file of a folder that is read.
type job struct {
	path  string
	entry fs.DirEntry
	err   error // it cannot be read
	found chan Found
	turn  chan struct{} // closed when all before it are told of
}

// folder reads all that is in a folder and in those below it. Only the folder itself must be
// readable. Readers take the files in turn, and what each finds waits for its turn to be told.
func (s *search) folder(root string) error {
	ctx, cancel := context.WithCancel(s.ctx)
	jobs, todo := make(chan *job, ahead), make(chan *job)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	var failed error // before jobs is closed
	running.Go(func() {
		defer close(jobs)
		defer close(todo)
		failed = walk(root, func(path string, d fs.DirEntry, err error) error {
			j := &job{path, d, err, make(chan Found, 1), make(chan struct{})}
			for _, next := range []chan *job{jobs, todo} {
				select {
				case next <- j:
				case <-ctx.Done():
					return fs.SkipAll
				}
			}
			return nil
		})
	})
	readers := runtime.GOMAXPROCS(0)
	if s.Origin != nil {
		readers = max(readers, waiting)
	}
	for range readers {
		running.Go(func() {
			one := &search{Reader: s.Reader, ctx: ctx}
			for j := range todo {
				one.job(j)
			}
		})
	}
	for j := range jobs {
		close(j.turn)
		for more := true; more; {
			var found Found
			select {
			case found, more = <-j.found:
				if more {
					s.tell(found)
				}
			case <-ctx.Done():
			}
			if s.done() {
				return nil
			}
		}
	}
	return failed
}

// job reads a file, and hands over what it finds.
func (s *search) job(j *job) {
	defer close(j.found)
	s.found = func(f Found) bool {
		select {
		case j.found <- f:
			return true
		case <-s.ctx.Done():
			return false
		}
	}
	s.turn, s.weight = j.turn, 0
	s.renew()
	if j.err != nil {
		s.fail(j.path, j.err)
	} else {
		s.entry(j.path, j.entry)
	}
}

// weigh counts bytes of a file that were read, and waits for its turn where they are many.
func (s *search) weigh(bytes int) {
	if s.weight += int64(bytes); s.weight <= light || s.turn == nil {
		return
	}
	select {
	case <-s.turn:
	case <-s.ctx.Done():
	}
}

// entry reads a file in a folder. What is neither a file nor leads to one is not opened.
func (s *search) entry(path string, d fs.DirEntry) {
	link := d.Type() == fs.ModeSymlink
	if !link && !d.Type().IsRegular() {
		s.tell(Found{Where: path, Without: File})
		return
	}
	file, info, err := regular.Open(path)
	switch {
	case link && errors.Is(err, syscall.EISDIR):
		s.fail(path, finding.WithHint(errors.New("a symlink to a folder, which is not followed"),
			"give the folder itself"))
	case !link && errors.Is(err, fs.ErrNotExist):
		// It was moved.
	case err != nil:
		s.fail(path, err)
	default:
		defer file.Close()
		s.opened(path, file, info)
	}
}
