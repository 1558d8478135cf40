package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/keystore/rotation"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:  "import",
		Usage: "carry over keys and tables from OpenDKIM or rspamd",
		UsageText: "signpost import [options] PATH...\n" +
			"signpost import --signing-table FILE [options] KEYTABLE",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and change nothing"},
			keysFlag(),
			selectorFlag(),
			&cli.StringFlag{Name: "from", Usage: "`KIND` of what is read: opendkim, rspamd or keys"},
			&cli.StringFlag{Name: "root", Usage: "put `DIR` before absolute paths in the configuration"},
			&cli.StringFlag{Name: "signing-table",
				Usage: "the signing table of a key table: `FILE`, file:FILE or refile:FILE"},
			jsonFlag(),
		},
		Action: importAction,
	}
}

func importAction(c *cli.Context) error {
	plans, err := readPlans(c)
	if err != nil {
		return err
	}
	there, _, err := loadKeys(c)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		there = nil // it will be made
	case err != nil:
		return err
	}
	steps, atOdds := migrate.Steps(plans, c.String("keys"), there, time.Now())
	findings := []finding.Finding{}
	for _, plan := range plans {
		findings = append(findings, plan.Findings...)
	}
	findings = append(findings, atOdds...)
	result := importResult{DryRun: c.Bool("dry-run"), Sources: sources(plans), Keys: keyResults(steps)}
	if !result.DryRun {
		findings = append(findings, install(c, steps, result.Keys)...)
	}
	var lost []finding.Finding
	result.Settings, lost = importSettings(c, plans)
	findings = append(findings, lost...)
	result.Domains = domainResults(steps, result.Keys)
	result.Findings = findings
	if c.Bool("json") {
		if err := printJSON(c, result); err != nil {
			return err
		}
		return verdictOf(findings)
	}
	printImport(c, result)
	return verdictOf(findings)
}

// readPlans reads all that is to be imported, before anything is changed.
func readPlans(c *cli.Context) ([]*migrate.Plan, error) {
	paths := c.Args().Slice()
	if len(paths) == 0 {
		return nil, finding.WithHint(usageError("what is to be imported?"),
			"signpost import --dry-run /etc/opendkim.conf")
	}
	if len(paths) > 1 && c.IsSet("signing-table") {
		return nil, usageError("--signing-table is for one key table, and there are %d arguments", len(paths))
	}
	selectors, err := keystore.ParseSelectors(c.String("selector"))
	if err != nil {
		return nil, usageError("--selector: %w", err)
	}
	options := migrate.Options{
		Kind: migrate.Kind(c.String("from")), Root: c.String("root"),
		SigningTable: c.String("signing-table"), Selectors: selectors,
	}
	kinds := []migrate.Kind{"", migrate.OpenDKIM, migrate.Rspamd, migrate.KeyFiles}
	if !slices.Contains(kinds, options.Kind) {
		return nil, usageError("--from: %q is none of opendkim, rspamd, keys", c.String("from"))
	}
	var plans []*migrate.Plan
	for _, path := range paths {
		plan, err := migrate.Read(path, options)
		if err != nil {
			code := exitFinding
			if errors.Is(err, migrate.ErrUnknown) || errors.Is(err, fs.ErrNotExist) {
				code = exitUsage
			}
			return nil, exitError{code, err}
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// install writes the keys that are new. Each is written whole or not at all,
// and one that fails does not keep the others from it.
func install(c *cli.Context, steps []migrate.Step, results []importedKey) []finding.Finding {
	var findings []finding.Finding
	for i, step := range steps {
		if step.State != migrate.New {
			continue
		}
		_, err := keystore.Install(c.String("keys"), step.Domain, step.Selector, step.Data, step.Time)
		if err != nil {
			results[i].State = "failed"
			findings = append(findings,
				failure(step.To, "import-write", err,
					"this key is not carried over; those shown as copied are"))
			continue
		}
		results[i].State = "copied"
	}
	after, _, err := loadKeys(c)
	if err != nil {
		if len(steps) == 0 {
			return findings
		}
		return append(findings, failure(c.String("keys"), "import-read", err, "what signs now is not known"))
	}
	for i, step := range steps {
		if !step.Signs || results[i].State == "refused" || results[i].State == "failed" {
			continue
		}
		// The newest keys are those that sign once their records are in the DNS.
		signing := rotation.Signing(rotation.Decide(after.Keys(step.Domain), nil, rotation.Off, time.Now()))
		err := after.Domain(step.Domain).Err()
		if !slices.ContainsFunc(signing, func(key *keystore.Key) bool { return key.Equal(&step.Key.Key) }) && err == nil {
			err = fmt.Errorf("another key of %s is newer", step.Domain)
		}
		if err != nil {
			f := failure(step.To, "import-not-signing", err, "mail is not signed with this key")
			f.Fix = cmp.Or(f.Fix, "see signpost keys "+step.Domain)
			findings = append(findings, f)
		}
	}
	return findings
}
