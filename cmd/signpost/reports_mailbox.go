package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
	"signpost/milter/reports"
	"signpost/milter/reports/mailbox"
)

// mailboxFlags are for reports that are still in a mailbox on a server.
func mailboxFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "imap",
			Usage: "read the mailbox at `URL` too, imaps://USER@HOST/FOLDER, with the password in $SIGNPOST_PASSWORD"},
		&cli.StringFlag{Name: "password-file", Usage: "take the password from the first line of `FILE`"},
		&cli.StringFlag{Name: "imap-ca", Usage: "`FILE` of certificates, in PEM, that sign that of the IMAP server"},
		&cli.BoolFlag{Name: "imap-plain", Usage: "imap:// without TLS, to a loopback address only"},
		&cli.StringFlag{Name: "save", Usage: "with --imap, keep what comes in `DIR`, fetch only what is new, and read that"},
	}
}

// lateReports is for how long after its period a report may come.
const lateReports = 3 * 24 * time.Hour

// fetch reads the mailbox that --imap names. With --save that makes a directory to read.
func (r *reportReader) fetch() (fetched bool, dir string, err error) {
	c := r.c
	config := mailbox.Config{URL: c.String("imap"), CAFile: c.String("imap-ca"), Plain: c.Bool("imap-plain"),
		Origin: r.reader.Origin}
	if config.URL == "" {
		for _, name := range []string{"password-file", "imap-ca", "imap-plain", "save"} {
			if c.IsSet(name) {
				return false, "", usageError("--%s goes with --imap", name)
			}
		}
		return false, "", nil
	}
	if config.Password, err = passwordOf(c.String("password-file")); err != nil {
		return false, "", err
	}
	if config.Password == "" {
		return false, "", finding.WithHint(usageError("no password for --imap"),
			"put it into $SIGNPOST_PASSWORD, or into a file for --password-file")
	}
	if err := config.Check(); err != nil {
		return false, "", usageError("--imap: %w", err)
	}
	if days := r.settings.Days; days > 0 {
		config.Since = r.now.AddDate(0, 0, -days).Add(-lateReports)
	}
	if dir = c.String("save"); dir != "" {
		saved, err := mailbox.Save(c.Context, config, dir)
		if err != nil {
			return false, "", imapError(err)
		}
		for _, where := range saved.TooLarge {
			r.answer.Read.Failed = append(r.answer.Read.Failed, failedReport{Where: where, Error: "too large to be fetched"})
		}
		r.answer.Read.WithoutMessages += saved.Without
		return true, dir, nil
	}
	err = r.reading(func(found func(reports.Found) bool) error {
		return mailbox.Read(c.Context, config, found)
	})
	if err != nil {
		return false, "", imapError(err)
	}
	return true, "", nil
}

// imapError adds to an error of a mailbox what the command line has for it.
func imapError(err error) error {
	what, hint := finding.Split(err)
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		hint = "if the server has a certificate authority of its own, name the file of that certificate with --imap-ca"
	}
	wrapped := fmt.Errorf("--imap: %s", visible(what))
	if hint != "" {
		wrapped = finding.WithHint(wrapped, "%s", visible(hint))
	}
	return exitError{exitUnknown, wrapped}
}
