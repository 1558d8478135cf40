package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/report"
	"signpost/milter/reports"
)

// read counts what all paths lead to.
func (r *reportReader) read() error {
	paths := r.c.Args().Slice()
	fetched, dir, err := r.fetch()
	if err != nil {
		return err
	}
	if dir != "" {
		paths = append(paths, dir)
	}
	if len(paths) == 0 && !fetched && r.settings.Path != "" {
		paths = []string{r.settings.Path}
	}
	if len(paths) == 0 && !fetched {
		return finding.WithHint(usageError("which reports?"), "name a file, a mailbox or a directory of them, "+
			"or - for standard input: signpost reports /var/mail/dmarc")
	}
	if len(paths) > 0 {
		err = r.reading(func(found func(reports.Found) bool) error {
			return r.reader.Read(r.c.Context, paths, r.c.App.Reader, found)
		})
	}
	slices.Sort(r.answer.Read.TLSReporters)
	r.warnOfFailed()
	switch {
	case r.c.Context.Err() != nil:
		return errStopped
	case errors.Is(err, fs.ErrNotExist):
		return exitError{exitUsage, meantDomain(err)}
	case err != nil:
		return exitError{exitUnknown, err}
	}
	return nil
}

// meantDomain adds a hint where the path that is not there may be a domain.
func meantDomain(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) && strings.Contains(path.Path, ".") {
		if _, invalid := keystore.Domain(path.Path); invalid == nil {
			return finding.WithHint(err, "of one domain alone tells --domain %s", path.Path)
		}
	}
	return err
}

// reading shows how far it has come.
func (r *reportReader) reading(all func(found func(reports.Found) bool) error) error {
	p := newProgress(r.c, "read", "that cannot be read", unknownTotal)
	defer p.end()
	return all(func(found reports.Found) bool {
		r.count(found)
		p.add(found.Err != nil)
		return r.c.Context.Err() == nil
	})
}

func (r *reportReader) count(found reports.Found) {
	read := &r.answer.Read
	switch {
	case found.Err != nil:
		what, hint := finding.Split(found.Err)
		read.Failed = append(read.Failed, failedReport{found.Where, what, hint})
	case found.Report != nil:
		if len(found.Report.Notes) > 0 {
			read.Notes++
		}
		if found.Report.Origin.Proof == report.Refuted {
			read.Refuted = append(read.Refuted, failedReport{Where: found.Where, Error: found.Report.Origin.Why})
		}
		if r.tally.Add(found.Report) {
			read.Reports++
		} else {
			read.Twice++
		}
	case found.TLS != "":
		read.TLS++
		if !slices.Contains(read.TLSReporters, found.TLS) {
			read.TLSReporters = append(read.TLSReporters, found.TLS)
		}
	case found.Without == reports.Message:
		read.WithoutMessages++
	case found.Without != "":
		read.WithoutFiles++
	}
}

// warnOfFailed names the reports that could not be read, or are not from whom they say. Reading
// went on.
func (r *reportReader) warnOfFailed() {
	r.warnOf(r.answer.Read.Failed, "", "that cannot be read")
	r.warnOf(r.answer.Read.Refuted, "not from whom it says, and what passed by it does not count: ",
		"that are not from whom they say")
}

func (r *reportReader) warnOf(reports []failedReport, what, which string) {
	const most = 20
	for _, f := range reports[:min(len(reports), most)] {
		err := errors.New(visible(f.Where + ": " + what + f.Error))
		if f.Hint != "" {
			err = finding.WithHint(err, "%s", visible(f.Hint))
		}
		warn(r.c, "%w", err)
	}
	if more := len(reports) - most; more > 0 {
		warn(r.c, "%w", finding.WithHint(fmt.Errorf("and %d more %s", more, which), "--json names them all"))
	}
}
