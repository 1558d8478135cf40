// Package watch keeps what the DMARC reports of a directory say, as they come and go. It
// only reads, in the background and not all the time: no message waits for it, and a
// directory that cannot be read leaves what was known.
package watch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/report"
	"signpost/keystore/report/tally"
	"signpost/milter/reports"
)

// Config says what to watch, and what the answers depend on.
type Config struct {
	Path  string        // of a directory, or of a mailbox
	Every time.Duration // to look for changes, at the soonest
	// Days to look back; 0 for all. Files that were last changed before are not read.
	Days   int
	Limits reports.Limits
	Rows   int // of all reports together, as tally.Size counts; 0 for DefaultRows

	// Known reports whether answers on a domain are wanted: anybody can send reports on any.
	Known func(domain string) bool
	// Question returns all that an answer depends on but for names, keys and the record.
	Question func(now time.Time) tally.Question
	// Keys returns the keys at hand of a domain, those above it and those below.
	Keys func(domain string) []tally.Key
	// Resolver is asked for the names of addresses and for the record; nil for no DNS.
	Resolver *dns.Resolver
	Log      *slog.Logger
}

// DefaultRows bounds the memory that reports take. It is some years of a busy domain.
const DefaultRows = 500_000

// State is how the reading goes.
type State struct {
	Path       string
	Read       time.Time // when all was last read or found unchanged; zero before that
	Files      int       // that were read
	Reports    int       // in them, each counted once
	Unreadable int       // reports, or files and folders that should hold some
	Denied     int       // of these, files and folders that cannot be opened
	Left       int       // files that were not read, or not to the end, for there are too many rows
	Err        error     // why the directory cannot be read now; what was known stays
	Since      time.Time // when that began
}

// Summary is what the reports say of a domain.
type Summary struct {
	Last      time.Time // day of the last report
	Reports   int
	Reporters int
	Messages  tally.Count
	Policy    tally.Policy
	Verdict   tally.Verdict
}

// Watch watches. Its methods may be called at any time, by several goroutines at once.
type Watch struct {
	Config

	mu    sync.RWMutex
	tally *tally.Tally

	state   atomic.Pointer[State]
	answers atomic.Pointer[map[string]*Summary]

	// Of the goroutine that runs:
	files   map[inode]*file
	dirty   map[string]bool // domains to be answered on anew
	rebuilt time.Time       // when all was last read
	took    time.Duration   // and how long that took
	whole   time.Time       // when all domains were last answered on
	names   map[netip.Addr]name
	pace    pace
	denied  int           // folders and files that could not be opened at this look
	turn    time.Duration // that answers take between two looks
}

// New returns a watch that has read nothing yet.
func New(c Config) *Watch {
	if c.Rows == 0 {
		c.Rows = DefaultRows
	}
	w := &Watch{Config: c, tally: tally.New(), files: make(map[inode]*file),
		dirty: make(map[string]bool), names: make(map[netip.Addr]name), turn: answerTurn}
	w.state.Store(&State{Path: c.Path})
	w.answers.Store(&map[string]*Summary{})
	return w
}

// State returns how the reading goes.
func (w *Watch) State() State { return *w.state.Load() }

// Of returns what the reports say of a domain; nil when there are none.
func (w *Watch) Of(domain string) *Summary { return (*w.answers.Load())[domain] }

// All returns that of all domains, not to be changed.
func (w *Watch) All() map[string]*Summary { return *w.answers.Load() }

// Seen is for rotation.Evidence.
func (w *Watch) Seen(domain, selector string, stopped time.Time) tally.Sighting {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.tally.Sighting(domain, selector, stopped, time.Now())
}

// idle is how many times longer than a look the pause after it is, so that a directory
// with very many files does not keep the disk busy.
const idle = 50

// Run reads, and reads again what has changed, until ctx ends.
func (w *Watch) Run(ctx context.Context) {
	for ctx.Err() == nil {
		w.round(ctx, time.Now())
		select {
		case <-ctx.Done():
		case <-time.After(max(w.Every, idle*w.pace.taken())):
		}
	}
}

// round reads what has changed, and answers. Reports are what anybody sends: one that we
// cannot cope with must not end the program, for mail waits for it. What was known stays, and
// the file is not read again until it changes.
func (w *Watch) round(ctx context.Context, now time.Time) {
	defer func() {
		if fault := recover(); fault != nil {
			w.Log.Error("reading the reports broke off by a fault of signpostd", "path", w.Path, "err", fault,
				"stack", string(debug.Stack()), "hint", "please report it, with the last file in that directory")
			w.failed(fmt.Errorf("reading broke off: %v", fault), now)
		}
	}()
	w.look(ctx, now)
	w.answer(ctx, now)
}

// look reads what has changed.
func (w *Watch) look(ctx context.Context, now time.Time) {
	w.pace.begin()
	w.denied = 0
	found, err := w.list(now)
	if err != nil {
		w.failed(err, now)
		return
	}
	ready, news, changed := w.compare(found, now)
	w.pace.listed()
	state := w.State()
	if state.Err != nil {
		w.Log.Info("the reports can be read again", "path", w.Path)
	}
	switch {
	case (changed || w.misses(ready)) && now.Sub(w.rebuilt) >= idle*w.took:
		w.rebuild(ctx, ready, now)
	default:
		w.add(ctx, w.tally, news, now)
	}
	if ctx.Err() == nil {
		w.done(now)
	}
}

// rebuild reads everything into a new tally, for nothing can be taken out of one.
func (w *Watch) rebuild(ctx context.Context, files []*file, now time.Time) {
	start, fresh := time.Now(), tally.New()
	before := w.files
	w.files = make(map[inode]*file)
	w.add(ctx, fresh, files, now)
	if ctx.Err() != nil {
		w.files = before
		return
	}
	w.mu.Lock()
	for _, domain := range w.tally.Domains() {
		w.dirty[domain] = true // it may have gone
	}
	w.tally = fresh
	w.mu.Unlock()
	w.rebuilt, w.took = now, time.Since(start)
}

// count adds a report.
func (w *Watch) count(to *tally.Tally, r *report.Report) (added bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return to.Add(r)
}

// add reads files, the newest first, into a tally. Old reports in them, as in a mailbox of
// years, are left out as old files are.
func (w *Watch) add(ctx context.Context, to *tally.Tally, files []*file, now time.Time) {
	unreadable, oldest := 0, w.oldest(now)
	var first reports.Found
	for _, f := range files {
		if ctx.Err() != nil {
			return
		}
		w.files[f.inode] = f
		if f.left = to.Size() >= w.Rows; f.left {
			continue
		}
		err := reports.Read(ctx, []string{f.path}, nil, w.Limits, func(found reports.Found) bool {
			switch {
			case found.Err != nil:
				if f.unreadable++; unreadable == 0 {
					first = found
				}
				unreadable++
			case found.Report == nil || found.Report.End.Before(oldest):
			case to.Size() >= w.Rows:
				f.left = true
			default:
				if w.count(to, found.Report) {
					f.reports++
					w.dirty[found.Report.Domain] = true
				}
			}
			w.pace.rest(ctx)
			return !f.left
		})
		if err != nil && ctx.Err() == nil {
			delete(w.files, f.inode) // it has gone, or comes to be readable
			w.deny(f.path, err)
		}
	}
	if unreadable > 0 {
		text, _ := finding.Split(first.Err)
		w.Log.Warn("reports cannot be read", "reports", unreadable, "first", first.Where, "err", text)
	}
}

// deny notes that a folder or a file cannot be opened. What is in it does not count, and that
// may be the very reports that tell of failures.
func (w *Watch) deny(path string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return // it was moved while we looked
	}
	if w.denied++; w.denied == 1 && w.State().Denied == 0 {
		w.Log.Error("a part of the reports cannot be read, and does not count", "path", path, finding.Attr(err))
	}
}

// done notes that all was read.
func (w *Watch) done(now time.Time) {
	before := w.State()
	state := State{Path: w.Path, Read: now, Files: len(w.files), Denied: w.denied, Unreadable: w.denied}
	for _, f := range w.files {
		state.Reports += f.reports
		state.Unreadable += f.unreadable
		if f.left {
			state.Files--
			state.Left++
		}
	}
	if before.Read.IsZero() {
		w.Log.Info("reports read", "path", w.Path, "files", state.Files, "reports", state.Reports)
	}
	if state.Left > 0 && before.Left == 0 {
		w.Log.Warn("there are more reports than are kept in memory, and not all of them count",
			"path", w.Path, "rows", w.Rows, "files", state.Left)
	}
	w.state.Store(&state)
}

// failed notes that the directory cannot be read. What was known stays.
func (w *Watch) failed(err error, now time.Time) {
	state := w.State()
	if state.Err == nil {
		state.Since = now
		w.Log.Error("the reports cannot be read, and what they said before stays", finding.Attr(err))
	}
	state.Err = err
	w.state.Store(&state)
}
