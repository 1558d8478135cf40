package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/keystore/place"
	"signpost/keystore/rotation"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:  "import",
		Usage: "carry over keys and tables from OpenDKIM or rspamd, or keys from a store",
		UsageText: "signpost import [options] PATH|URL...\n" +
			"signpost import --signing-table FILE [options] KEYTABLE",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and change nothing"},
			keysFlag(),
			&cli.StringFlag{Name: "to", Usage: "import into this key `DIRECTORY` or store, in place of that of --keys"},
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
	to, err := importTarget(c)
	if err != nil {
		return err
	}
	plans, err := readPlans(c)
	if err != nil {
		return err
	}
	carry := &carrier{keys: to, place: to.Place()}
	for _, plan := range plans {
		for _, key := range plan.Keys {
			carry.domains = append(carry.domains, key.Domain)
		}
	}
	slices.Sort(carry.domains)
	carry.domains = slices.Compact(carry.domains)
	there, err := carry.load(c.Context)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		there = nil // it will be made
	case err != nil:
		return exitError{exitUnknown, err}
	}
	steps, atOdds := migrate.Steps(plans, carry.place, there, time.Now())
	findings := []finding.Finding{}
	for _, plan := range plans {
		findings = append(findings, plan.Findings...)
	}
	findings = append(findings, atOdds...)
	if len(carry.domains) == 0 && verdictOf(levelsOf(findings)) == nil {
		findings = append(findings, finding.Finding{Code: "import-empty", Level: finding.Warning, Name: plans[0].Path,
			What: "no key is carried over", Effect: "nothing signs there, nor would it here", Fix: "the notes say why"})
	}
	result := importResult{DryRun: c.Bool("dry-run"), Sources: sources(plans), Keys: keyResults(steps)}
	if !result.DryRun {
		findings = append(findings, carry.install(c.Context, steps, result.Keys)...)
	}
	var lost []finding.Finding
	flag := "--keys"
	if c.IsSet("to") {
		flag = "--to"
	}
	result.Settings, lost = importSettings(&to, flag, plans)
	findings = append(findings, lost...)
	result.Domains = domainResults(steps, result.Keys)
	result.Findings = findings
	if c.Bool("json") {
		if err := printJSON(c, result); err != nil {
			return err
		}
		return verdictOf(levelsOf(findings))
	}
	printImport(c, result, to.Text)
	return verdictOf(levelsOf(findings))
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
	if options.Kind != "" {
		if _, err := settings.OneOf(migrate.OpenDKIM, migrate.Rspamd, migrate.KeyFiles)(c.String("from")); err != nil {
			return nil, usageError("--from: %w", err)
		}
	}
	var plans []*migrate.Plan
	for _, path := range paths {
		plan, err := readPlan(c.Context, path, options)
		if err != nil {
			return nil, unreadPlan(err)
		}
		plans = append(plans, plan)
	}
	return plans, nil
}

// readPlan reads a configuration, or a store.
func readPlan(ctx context.Context, path string, options migrate.Options) (*migrate.Plan, error) {
	sources, err := settings.ParseSources(path)
	if err != nil && strings.Contains(path, "://") {
		return nil, exitError{exitUsage, err}
	}
	if err != nil || sources[0].Backend == nil {
		return migrate.Read(path, options)
	}
	plan, err := migrate.ReadStore(ctx, place.Patient(sources[0].Backend))
	if err != nil {
		return nil, exitError{exitUnknown, err}
	}
	return plan, nil
}

// unreadPlan chooses the exit code for a configuration that cannot be read.
func unreadPlan(err error) error {
	if errors.As(err, &exitError{}) {
		return err
	}
	if errors.Is(err, migrate.ErrUnknown) || errors.Is(err, fs.ErrNotExist) {
		return exitError{exitUsage, err}
	}
	return exitError{exitFinding, err}
}

// importTarget returns where to import to: --to, else where the keys are.
func importTarget(c *cli.Context) (settings.Keys, error) {
	to, err := keyDirectory(c)
	if err != nil || !c.IsSet("to") {
		return to, err
	}
	if c.IsSet("keys") {
		return to, usageError("--to and --keys exclude each other")
	}
	if err := to.Use(c.String("to")); err != nil {
		return to, usageError("--to: %w", err)
	}
	return to, nil
}

// carrier carries keys over.
type carrier struct {
	keys    settings.Keys
	place   place.Place
	domains []string // of all keys
}

// load reads what the place has of the domains.
func (carry *carrier) load(ctx context.Context) (*keystore.Snapshot, error) {
	if len(carry.domains) == 0 {
		return &keystore.Snapshot{}, nil
	}
	return carry.place.Load(ctx, carry.domains...)
}

// rsaFirst returns the numbers of steps in the order to take them: the first key of a domain
// in a store is the one that other programs sign with.
func rsaFirst(steps []migrate.Step) (order []int) {
	for i := range steps {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return -cmp.Compare(steps[a].Algorithm, steps[b].Algorithm)
	})
	return order
}

// install writes the keys that are new. Each is written whole or not at all,
// and one that fails does not keep the others from it.
func (carry *carrier) install(ctx context.Context, steps []migrate.Step, results []importedKey) []finding.Finding {
	var findings []finding.Finding
	for _, i := range rsaFirst(steps) {
		step := steps[i]
		if step.State != migrate.New {
			continue
		}
		at, err := carry.place.Install(ctx, step.Domain, step.Selector, step.Data, step.Time)
		if err != nil {
			results[i].State = "failed"
			findings = append(findings,
				failure(step.To, "import-write", err,
					"this key is not carried over; those shown as copied are"))
			continue
		}
		results[i].State, results[i].File = "copied", at
	}
	after, err := carry.load(ctx)
	if err != nil {
		if len(steps) == 0 {
			return findings
		}
		return append(findings, failure(carry.place.Name(), "import-read", err, "what signs now is not known"))
	}
	for i, step := range steps {
		if !step.Signs || results[i].State == "refused" || results[i].State == "failed" {
			continue
		}
		// The newest keys are those that sign once their records are in the DNS.
		signing := rotation.Signing(rotation.Decide(after.Keys(step.Domain), nil, rotation.Off, time.Now()))
		err := after.Domain(step.Domain).Err()
		signs := slices.ContainsFunc(signing, func(key *keystore.Key) bool { return key.Equal(&step.Key.Key) })
		if !signs && err == nil {
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
