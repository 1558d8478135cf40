package main

import (
	"fmt"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/check"
	"signpost/keystore/finding"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "compare the DNS with the keys, and say whether mail will pass DMARC",
		UsageText: "signpost check [options] DOMAIN...",
		Flags: []cli.Flag{
			keysFlag(),
			selectorFlag(),
			&cli.BoolFlag{Name: "subdomains", Usage: "the key of a domain signs for its subdomains too, as in signpostd [$SIGNPOST_SUBDOMAINS]"},
			daemonFlag(),
			resolverFlag(),
			&cli.BoolFlag{Name: "authoritative", Usage: "ask every name server of the domain itself, past all caches"},
			&cli.StringSliceFlag{Name: "from-ip", Usage: "public `ADDRESS` that mail is sent from; may be given several times"},
			&cli.StringFlag{Name: "helo", Usage: "`NAME` that the sending host gives in HELO"},
			&cli.StringFlag{Name: "mail-from", Aliases: []string{"from"}, Usage: "`DOMAIN` in MAIL FROM, where it is another one"},
			timeoutFlag(5 * time.Second),
			jsonFlag(),
		},
		Action: checkDomains,
	}
}

// maxChecks is how many domains are checked at once.
const maxChecks = 16

func checkDomains(c *cli.Context) error {
	domains, err := domainArgs(c)
	if err != nil {
		return err
	}
	options, err := checkOptions(c)
	if err != nil {
		return err
	}
	var answer struct {
		Domains []*check.Report `json:"domains"`
	}
	var findings []finding.Finding
	for report := range inOrder(domains, func(domain string) *check.Report {
		return check.Domain(c.Context, options, domain)
	}) {
		if err := c.Context.Err(); err != nil {
			return exitError{exitUnknown, fmt.Errorf("stopped before all was checked: %w", err)}
		}
		findings = append(findings, report.Findings...)
		answer.Domains = append(answer.Domains, report)
		if !c.Bool("json") {
			printReport(c, report, len(answer.Domains) > 1)
		}
	}
	if c.Bool("json") {
		if err := printJSON(c, answer); err != nil {
			return err
		}
	}
	return verdictOf(findings)
}

// inOrder calls do for each item, several at once, and yields the results in
// the order of the items.
func inOrder[T, R any](items []T, do func(T) R) iter.Seq[R] {
	return func(yield func(R) bool) {
		results := make([]chan R, len(items))
		slots := make(chan struct{}, maxChecks)
		stop := make(chan struct{})
		var starting sync.WaitGroup
		for i := range items {
			results[i] = make(chan R, 1)
		}
		starting.Go(func() {
			for i, item := range items {
				select {
				case slots <- struct{}{}:
				case <-stop:
					return
				}
				go func() {
					results[i] <- do(item)
					<-slots
				}()
			}
		})
		defer starting.Wait()
		defer close(stop)
		for _, result := range results {
			if !yield(<-result) {
				return
			}
		}
	}
}

func printReport(c *cli.Context, report *check.Report, more bool) {
	s, out := styleOf(c), c.App.Writer
	if more {
		io.WriteString(out, "\n")
	}
	fmt.Fprintln(out, s.bold(report.Domain))
	for _, good := range report.Good {
		fmt.Fprintf(out, "%s: %s: %s\n", s.green("good"), s.bold(visible(good.Name)), visible(good.What))
	}
	printFindings(c, report.Findings)
	verdict := visible(report.Verdict)
	switch report.Passes {
	case check.Yes:
		verdict = s.green(verdict)
	case check.No:
		verdict = s.red(verdict)
	}
	fmt.Fprintln(out, verdict)
}

// checkOptions reads the flags.
func checkOptions(c *cli.Context) (check.Options, error) {
	options := check.Options{Authoritative: c.Bool("authoritative"), KeysIn: c.String("keys")}
	var err error
	if options.Subdomains, err = settings.Parse(c, "subdomains", settings.ParseSwitch); err != nil {
		return options, exitError{exitUsage, err}
	}
	resolver, err := resolverOf(c)
	if err != nil {
		return options, err
	}
	options.Resolver = resolver.Remembering()
	if err := senderOptions(c, &options); err != nil {
		return options, err
	}
	if _, err := keyDirectory(c); err != nil {
		return options, err
	}
	running, err := openDaemon(c)
	if err != nil {
		return options, err
	}
	if running != nil {
		options.Stages = running.stages
	}
	// Without keys there is still much to check, so that is a finding.
	options.Keys, options.Mode, options.KeysErr = loadKeys(c)
	return options, nil
}
