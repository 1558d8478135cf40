// Package reports finds the reports of DMARC and of TLS (RFC 8460) in files: bare, packed, and
// attached to messages in mailboxes. It goes by what it finds in them, not by their names.
package reports

import (
	"context"
	"io"

	"signpost/keystore/report"
)

// Limits bound what one file may make us do.
type Limits struct {
	Unpacked int64 // bytes of one report, unpacked
	Members  int   // of one archive, and parts of one message
	Depth    int   // of archives and messages in each other
}

// DefaultLimits returns what is plenty for any real report.
func DefaultLimits() Limits { return Limits{Unpacked: 20 << 20, Members: 100, Depth: 4} }

// Found is what was found.
type Found struct {
	// Where tells the way to it, such as "mail.mbox: message 3: example.zip: report.xml".
	Where string
	// Report is an aggregate report; nil for anything else.
	Report *report.Report
	// TLS names the organisation of a TLS report; empty for anything else.
	TLS string
	// Err says why something that looks like a report cannot be read. Reading goes on.
	Err error
}

// Read reads what each path leads to: a file, a folder with all below it, a maildir, or "-" for
// stdin. It calls found for each report and each failure, until that returns false. The error is
// for a path that cannot be opened, and of ctx.
func Read(ctx context.Context, paths []string, stdin io.Reader, limits Limits, found func(Found) bool) error {
	return nil
}
