package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
	"signpost/keystore/rotation"
	"signpost/milter/reports"
)

var errNoEvidence = errors.New("the reports cannot be read")

// readEvidence reads the reports that --reports names, if it does. Those that cannot be
// read prove nothing; where none can be looked for, the error is errNoEvidence.
func readEvidence(c *cli.Context) (rotation.Evidence, error) {
	s, err := settings.ReadReports(c)
	if err != nil {
		return rotation.Evidence{}, exitError{exitUsage, err}
	}
	if s.Path == "" {
		return rotation.Evidence{}, nil
	}
	all := tally.New()
	var unread int
	var first reports.Found
	err = reports.Read(c.Context, []string{s.Path}, c.App.Reader, reports.DefaultLimits(), func(f reports.Found) bool {
		switch {
		case f.Err != nil:
			if unread++; unread == 1 {
				first = f
			}
		case f.Report != nil:
			all.Add(f.Report)
		}
		return true
	})
	if c.Context.Err() != nil {
		return rotation.Evidence{}, errStopped
	}
	if err != nil {
		return rotation.Evidence{}, exitError{exitUnknown, finding.WithHint(
			fmt.Errorf("%w, so no key is archived: %w", errNoEvidence, err),
			"without --reports the overlap alone counts")}
	}
	if unread > 0 {
		text, _ := finding.Split(first.Err)
		which := "1 of the reports cannot be read, and does not count"
		if unread > 1 {
			which = fmt.Sprintf("%d of the reports cannot be read, and do not count; the first", unread)
		}
		printError(c.App.ErrWriter, "warning", fmt.Errorf("%s: %s: %s", which, visible(first.Where), visible(text)))
	}
	return rotation.Evidence{
		Seen: func(domain, selector string, stopped time.Time) tally.Sighting {
			return all.Sighting(domain, selector, stopped, time.Now())
		},
		Reporters: s.Thresholds.Reporters, Messages: s.Thresholds.Messages,
	}, nil
}
