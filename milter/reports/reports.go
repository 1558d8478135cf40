// Package reports finds the reports of DMARC and of TLS (RFC 8460) in files: bare, packed, and
// attached to messages in mailboxes. It goes by what it finds in them, not by their names.
//
// Nothing is unpacked to disk, and no name in an archive or a message is ever opened. What a
// single message or file can make it do is bounded by Limits.
package reports

import (
	"context"
	"errors"
	"fmt"
	"io"

	"signpost/keystore/finding"
	"signpost/keystore/report"
)

// Limits bound what one message, or one file that is not a mailbox, may make us do.
type Limits struct {
	Unpacked int64 // bytes of one report, unpacked
	Total    int64 // bytes of all that is unpacked
	Message  int64 // bytes of a message: of a longer one, only the start is read
	Members  int   // of archives, and parts of the message
	Depth    int   // of archives and messages in each other
}

// DefaultLimits returns what is plenty for any real report.
func DefaultLimits() Limits {
	return Limits{Unpacked: 20 << 20, Total: 200 << 20, Message: 32 << 20, Members: 1000, Depth: 4}
}

// Found is what was found: exactly one of Report, TLS, Err and Without is set.
type Found struct {
	// Where tells the way to it, such as "mail.mbox: message 3: example.zip: report.xml". Its
	// names are from outside.
	Where string
	// Report is an aggregate report.
	Report *report.Report
	// TLS names the organisation of a TLS report.
	TLS string
	// Err says why something that looks like a report cannot be read. Reading goes on.
	Err error
	// Without says what was read and has no report in it.
	Without Thing
}

// Thing is something that has no report in it.
type Thing string

// Things without a report.
const (
	Message Thing = "message"
	File    Thing = "file" // of any other kind
)

// Reader reads reports.
type Reader struct {
	Limits Limits
	// Origin is asked of each message with a report in it, by several goroutines at once, and says
	// who sent it; nil where nobody asks. The message is valid until it returns.
	Origin func(ctx context.Context, message []byte) report.Origin
}

// Read is that of a Reader which asks for no origins.
func Read(ctx context.Context, paths []string, stdin io.Reader, limits Limits, found func(Found) bool) error {
	return Reader{Limits: limits}.Read(ctx, paths, stdin, found)
}

// Read reads what each path leads to: a file, a folder with all below it, a maildir, or "-" for
// stdin. It calls found for all that it finds, until that returns false. The error is for a path
// that cannot be opened, and of ctx.
//
// In a folder, names that begin with a dot are passed over unless they are maildirs, and so are
// symlinks to folders. Of a maildir, cur and new are read. Several files of a folder are read at
// once, of large ones a single one, and told of in their order.
func (r Reader) Read(ctx context.Context, paths []string, stdin io.Reader, found func(Found) bool) error {
	s := &search{Reader: r, ctx: ctx, found: found}
	for _, path := range paths {
		if path == "-" {
			s.file("stdin", stdin)
		} else if err := s.path(path); err != nil {
			return err
		}
		if s.done() {
			break
		}
	}
	return ctx.Err()
}

// ReadMessage reads a single message, which where names.
func ReadMessage(ctx context.Context, where string, message io.Reader, limits Limits, found func(Found) bool) error {
	return Reader{Limits: limits}.Message(ctx, where, message, found)
}

// Message reads a single message, which where names.
func (r Reader) Message(ctx context.Context, where string, message io.Reader, found func(Found) bool) error {
	s := &search{Reader: r, ctx: ctx, found: found}
	s.renew()
	s.message(where, message, r.Limits.Depth-1)
	return ctx.Err()
}

// search is the state of a Read.
type search struct {
	Reader
	ctx     context.Context
	found   func(Found) bool
	count   int  // of calls of found
	stopped bool // found wants no more
	buffers buffers

	// Of the file at hand, where others are read meanwhile:
	turn   <-chan struct{} // closed when all before it are told of
	weight int64           // bytes that were read, packed and unpacked

	// Of the message or file at hand:
	total   int64 // that may yet be unpacked
	members int   // that may yet be looked at
	letter        // the message; empty where it is none
}

// letter is a message that is looked at.
type letter struct {
	mail   bool           // there is one
	cut    bool           // of which only the start is read
	text   []byte         // that was read
	origin *report.Origin // once it is known
}

// renew begins another message or file.
func (s *search) renew() {
	s.total, s.members, s.letter = s.Limits.Total, s.Limits.Members, letter{}
}

func (s *search) done() bool { return s.stopped || s.ctx.Err() != nil }

func (s *search) tell(f Found) {
	if s.done() {
		return
	}
	s.count++
	s.stopped = !s.found(f)
}

// sender returns who sent the report that was found.
func (s *search) sender() report.Origin {
	switch {
	case s.Origin == nil:
		return report.Origin{}
	case !s.mail:
		return report.Origin{Proof: report.Unproven, Why: "it did not come in mail"}
	case s.cut:
		return report.Origin{Proof: report.Unproven, Why: "only the start of its mail was read"}
	case s.origin == nil:
		origin := s.Origin(s.ctx, s.text)
		s.origin = &origin
	}
	return *s.origin
}

func (s *search) fail(where string, err error) {
	if s.cut {
		err = fmt.Errorf("%w; only the first %s of the message were read", err, size(s.Limits.Message))
	}
	s.tell(Found{Where: where, Err: err})
}

// member counts a member of an archive or a part of a message, and reports whether it may be
// looked at.
func (s *search) member(where string) bool {
	switch s.members--; {
	case s.done() || s.members < -1:
		return false
	case s.members == -1:
		s.fail(where, finding.WithHint(fmt.Errorf("more than %d parts", s.Limits.Members),
			"the rest was not read; unpack it first if it is yours"))
		return false
	}
	return true
}

// tooLarge says that a report or an archive goes beyond a limit.
func tooLarge(limit int64) error {
	return finding.WithHint(fmt.Errorf("larger than %s unpacked", size(limit)),
		"no real report is; unpack it first if it is an archive of yours")
}

func size(bytes int64) string {
	if bytes >= 1<<20 {
		return fmt.Sprintf("%d MB", bytes>>20)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// bounded reads up to so many bytes. It remembers why reading failed, for parsers do not always
// say so.
type bounded struct {
	s     *search
	in    io.Reader
	left  int64
	limit int64 // for the error
	total bool  // it comes out of an archive, and counts for the total
	err   error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.err = b.s.ctx.Err(); b.err != nil {
		return 0, b.err
	}
	n, err := b.in.Read(p)
	b.s.weigh(n)
	b.left -= int64(n)
	if b.total {
		b.s.total -= int64(n)
	}
	switch {
	case b.left < 0:
		b.err = tooLarge(b.limit)
	case b.s.total < 0:
		b.err = tooLarge(b.s.Limits.Total)
	case err != nil && err != io.EOF && b.total:
		b.err = fmt.Errorf("damaged: %w", err)
	case err != io.EOF:
		b.err = err
	}
	if b.err != nil {
		return 0, b.err
	}
	return n, err
}

// reason is the error of a parser, or better why it could not read on.
func (b *bounded) reason(err error) error {
	if b.err != nil && !errors.Is(err, b.err) {
		return b.err
	}
	return err
}
