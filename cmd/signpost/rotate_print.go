package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/keystore/rotation/step"
)

// rotated is what rotate says of a domain.
type rotated struct {
	Domain    string       `json:"domain"`
	Keys      []rotatedKey `json:"keys"`
	Made      []madeKey    `json:"publish"`   // new keys, whose records are to be published
	Published []string     `json:"published"` // names of records that were put into the DNS
	CNAMEs    []cname      `json:"cnames"`    // to publish once, for slots
	Retired   []retiredKey `json:"retired"`
	Next      []string     `json:"next"` // what to do
	Note      string       `json:"note"`
	Error     string       `json:"error"`
	Hint      string       `json:"hint"`

	code int // 0, exitFinding or exitUnknown
}

type rotatedKey struct {
	Selector string             `json:"selector"`
	Type     keystore.Algorithm `json:"type"`
	Bits     int                `json:"bits"`
	File     string             `json:"file"`
	Stage    rotation.Stage     `json:"stage"`
	Since    time.Time          `json:"since,omitzero"`
	DNS      string             `json:"dns"`
	// Reports is what receivers report of a key that no longer signs, where they are read.
	Reports *rotation.Testimony `json:"reports,omitempty"`
}

type cname struct {
	Name   string `json:"name"`
	Target string `json:"target"`
}

type retiredKey struct {
	Selector string `json:"selector"`
	File     string `json:"file"`   // where the private key is now
	Public   string `json:"public"` // where it was published, if it was
	Name     string `json:"name"`   // of the record to take out
	Value    string `json:"value"`  // of that to put in its place, if any
	Done     bool   `json:"done"`   // that is done
}

func emptyRotated(domain string) *rotated {
	return &rotated{
		Domain: domain, Keys: []rotatedKey{}, Made: []madeKey{}, CNAMEs: []cname{}, Published: []string{},
		Retired: []retiredKey{}, Next: []string{},
	}
}

// newRotated is what a step for a domain came to.
func newRotated(r *rotator, result *step.Result) *rotated {
	answer := emptyRotated(result.Domain)
	answer.Published = append(answer.Published, result.Published...)
	for _, key := range result.New {
		answer.Made = append(answer.Made, newMade(key))
	}
	for _, alias := range result.Aliases {
		answer.CNAMEs = append(answer.CNAMEs, cname{alias.Name, alias.Target})
	}
	for _, gone := range result.Archived {
		answer.Retired = append(answer.Retired, retiredKey(gone))
	}
	if result.Note != nil {
		answer.Note = result.Note.Error()
	}
	for _, key := range result.Keys {
		answer.addKey(key.Status, key.Said.Text, r.options)
		if key.Signs && r.Look.Now.Sub(key.ModTime) >= r.Interval && !result.Ordered {
			age := "whose age is not known, so that neither --due nor --auto does"
			if !key.ModTime.IsZero() {
				age = "which is " + ageOf(key.ModTime) + " old"
			}
			answer.Next = append(answer.Next, fmt.Sprintf("change the key %s, %s", key.Selector, age))
		}
		if key.Said.Presence == dns.Unknown {
			answer.code = exitUnknown
		}
	}
	if err := result.Err; err != nil {
		answer.fail(exitFinding, rotateHint(r, err))
		if result.Unknown {
			answer.code = exitUnknown
		}
	}
	return answer
}

// rotateHint adds to an error what the command line has for it.
func rotateHint(r *rotator, err error) error {
	switch {
	case errors.As(err, new(step.UsedError)):
		return finding.WithHint(err, "give the new key to what signs there, or finish with --now")
	case errors.As(err, new(step.EarlyError)):
		return finding.WithHint(err, "do it then, or with --now")
	case errors.Is(err, keystore.ErrNoKey):
		domain, _, _ := strings.Cut(err.Error(), " ")
		return finding.WithHint(err, "make the first one with signpost keygen%s %s", r.options, domain)
	}
	return err
}

func (r *rotated) addKey(key rotation.Status, said, options string) {
	r.Keys = append(r.Keys, rotatedKey{
		Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File,
		Stage: key.Stage, Since: key.Since.UTC(), DNS: said, Reports: key.Testimony(),
	})
	if advice := key.Advice(options); advice != "" {
		r.Next = append(r.Next, key.Selector+": "+advice)
	}
}

func (r *rotated) fail(code int, err error) *rotated {
	r.code = code
	r.Error, r.Hint = finding.Split(err)
	return r
}

func newMade(key step.New) madeKey {
	return madeKey{
		Domain: key.Domain, Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File,
		RecordFile: key.RecordFile, Name: key.Name, Value: key.Value,
	}
}

func (r *rotated) print(c *cli.Context, more bool) {
	s, out := styleOf(c), c.App.Writer
	if more {
		io.WriteString(out, "\n")
	}
	fmt.Fprintln(out, s.bold(r.Domain))
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, key := range r.Keys {
		since := ""
		if !key.Since.IsZero() {
			since = " since " + key.Since.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(table, "   %s\t%s\t%d\t%s%s\tdns: %s\n", key.Selector, key.Type, key.Bits,
			key.Stage, since, cmp.Or(visible(key.DNS), "not known yet"))
	}
	table.Flush()
	for _, key := range r.Keys {
		if key.Reports != nil {
			fmt.Fprintf(out, "   reports: %s\n", visible(key.Reports.Text))
		}
	}
	for _, name := range r.Published {
		fmt.Fprintf(out, "   published: %s\n", name)
	}
	for _, key := range r.Made {
		if slices.Contains(r.Published, key.Name) {
			continue
		}
		fmt.Fprintf(out, "   publish this TXT record, in one line, for the key %s:\n%s\n%s\n", key.File,
			key.Name, key.Value)
	}
	for _, alias := range r.CNAMEs {
		fmt.Fprintf(out, "   publish this CNAME record, once:\n%s\n%s\n", alias.Name, alias.Target)
	}
	for _, key := range r.Retired {
		fmt.Fprintf(out, "   the key %s is archived: %s\n", key.Selector, key.File)
		if key.Public != "" {
			fmt.Fprintf(out, "   and is public: %s\n", key.Public)
		}
		if key.Done {
			fmt.Fprintf(out, "   and its record is out of the DNS: %s\n", key.Name)
			continue
		}
		if key.Value != "" {
			fmt.Fprintf(out, "   publish this TXT record in place of its own:\n%s\n%s\n", key.Name, key.Value)
			continue
		}
		fmt.Fprintf(out, "   take its TXT record out of the DNS:\n%s\n", key.Name)
	}
	if r.Note != "" {
		fmt.Fprintf(out, "   note: %s\n", r.Note)
	}
	for _, next := range r.Next {
		fmt.Fprintf(out, "   next: %s\n", next)
	}
	if r.Error != "" {
		printError(c.App.ErrWriter, "error", finding.WithHint(errors.New(r.Error), r.Hint))
	}
}
