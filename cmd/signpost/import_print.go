package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/keystore/record"
)

// importResult is the machine's form of the answer.
type importResult struct {
	DryRun   bool              `json:"dry_run"`
	Sources  []importSource    `json:"sources"`
	Keys     []importedKey     `json:"keys"`
	Settings []importSetting   `json:"settings"`
	Domains  []importedDomain  `json:"domains"`
	Findings []finding.Finding `json:"findings"`
}

type importSource struct {
	Path string `json:"path"`
	Kind string `json:"kind"`
	What string `json:"what"`
}

type importedKey struct {
	Domain   string `json:"domain"`
	Selector string `json:"selector"`
	Type     string `json:"type"`
	Bits     int    `json:"bits"`
	Signs    bool   `json:"signs"`
	From     string `json:"from"`
	NamedAt  string `json:"named_at"`
	File     string `json:"file"`
	Modified string `json:"modified"`
	State    string `json:"state"`
}

type importSetting struct {
	Variable string `json:"variable"`
	Value    string `json:"value"`
	From     string `json:"from"`
	Why      string `json:"why"`
}

type importedDomain struct {
	Domain  string   `json:"domain"`
	Records []string `json:"records"`
}

func sources(plans []*migrate.Plan) []importSource {
	list := []importSource{}
	for _, plan := range plans {
		list = append(list, importSource{plan.Path, string(plan.Kind), plan.What})
	}
	return list
}

func keyResults(steps []migrate.Step) []importedKey {
	list := []importedKey{}
	states := map[migrate.State]string{migrate.New: "would copy", migrate.There: "there already",
		migrate.Taken: "refused"}
	for _, step := range steps {
		key := importedKey{
			Domain: step.Domain, Selector: step.Selector, Type: string(step.Algorithm), Bits: step.Bits,
			Signs: step.Signs,
			From:  step.Key.File, File: step.To, State: states[step.State],
			Modified: step.Time.UTC().Format("2006-01-02T15:04:05Z"),
		}
		if step.Named.File != "" {
			key.NamedAt = step.Named.String()
		}
		list = append(list, key)
	}
	return list
}

// domainResults names the records that must stay in the DNS.
func domainResults(steps []migrate.Step, keys []importedKey) []importedDomain {
	list := []importedDomain{}
	place := make(map[string]int)
	for i, step := range steps {
		if keys[i].State == "refused" || keys[i].State == "failed" {
			continue
		}
		j, known := place[step.Domain]
		if !known {
			list = append(list, importedDomain{Domain: step.Domain})
			j = len(list) - 1
			place[step.Domain] = j
		}
		if name := record.Name(step.Selector, step.Domain); !slices.Contains(list[j].Records, name) {
			list[j].Records = append(list[j].Records, name)
		}
	}
	return list
}

// failure makes a finding of an error.
func failure(name, code string, err error, effect string) finding.Finding {
	what, fix := finding.Split(err)
	return finding.Finding{Level: finding.Fault, Code: code, Name: name, What: what, Effect: effect, Fix: fix}
}

func printImport(c *cli.Context, result importResult, keys string) {
	w := c.App.Writer
	for _, source := range result.Sources {
		fmt.Fprintf(w, "%s: %s\n", source.Path, source.What)
	}
	printImportedKeys(w, result.Keys)
	printFindings(c, result.Findings)
	if len(result.Settings) > 0 {
		fmt.Fprintf(w, "\nfor the environment of signpostd:\n\n")
		printSettings(w, result.Settings)
	}
	if len(result.Domains) > 0 {
		fmt.Fprintf(w, "\nthe DNS stays as it is:\n\n")
		domains := make([]string, len(result.Domains))
		for i, d := range result.Domains {
			domains[i] = d.Domain
			fmt.Fprintf(w, "%s: keep %s\n", d.Domain, strings.Join(d.Records, " "))
		}
		fmt.Fprintf(w, "\nto see that records and keys fit:\n\nsignpost check --keys %s %s\n",
			shellWord(settings.WithoutPasswords(keys)), strings.Join(domains, " "))
	}
	if result.DryRun {
		fmt.Fprintf(w, "\nnothing was changed\n")
	}
}

func printImportedKeys(w io.Writer, keys []importedKey) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, key := range keys {
		use := "does not sign"
		if key.Signs {
			use = "signs"
		}
		from := ""
		if key.From != key.File {
			from = "from " + key.From
		}
		fmt.Fprintf(table, "   %s\t%s\t%s %d, %s\t%s\n", key.State, key.File, key.Type, key.Bits, use, from)
	}
	table.Flush()
}

func printSettings(w io.Writer, settings []importSetting) {
	for _, s := range settings {
		comment := s.From
		if s.Why != "" {
			comment += "; " + s.Why
		}
		fmt.Fprintf(w, "# %s\n%s=%s\n", comment, s.Variable, s.Value)
	}
}
