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
	"signpost/keystore/finding"
)

// rotateAnswer is the JSON form of the answer.
type rotateAnswer struct {
	Domains []*rotated `json:"domains"`
}

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

	code    int  // 0, exitFinding or exitUnknown
	skipped bool // nobody looked at it, for the run was stopped
}

type rotatedKey struct {
	Selector string             `json:"selector"`
	Type     keystore.Algorithm `json:"type"`
	Bits     int                `json:"bits"`
	File     string             `json:"file"`
	Stage    keystore.Stage     `json:"stage"`
	Since    time.Time          `json:"since,omitzero"`
	DNS      string             `json:"dns"`
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

func newRotated(domain string) *rotated {
	return &rotated{Domain: domain, Keys: []rotatedKey{}, Made: []madeKey{}, CNAMEs: []cname{}, Published: []string{}, Retired: []retiredKey{}, Next: []string{}}
}

func (r *rotated) fail(code int, err error) *rotated {
	r.code = code
	r.Error, r.Hint = finding.Split(err)
	return r
}

func newMade(domain, selector string, algorithm keystore.Algorithm, bits int, file, name, value string) madeKey {
	return madeKey{
		Domain: domain, Selector: selector, Type: algorithm, Bits: bits, File: file,
		RecordFile: strings.TrimSuffix(file, ".private") + ".txt", Name: name, Value: value,
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
		fmt.Fprintf(table, "   %s\t%s\t%d\t%s%s\tdns: %s\n", key.Selector, key.Type, key.Bits, key.Stage, since, cmp.Or(visible(key.DNS), "not known yet"))
	}
	table.Flush()
	for _, name := range r.Published {
		fmt.Fprintf(out, "   published: %s\n", name)
	}
	for _, key := range r.Made {
		if slices.Contains(r.Published, key.Name) {
			continue
		}
		fmt.Fprintf(out, "   publish this TXT record, in one line, for the key %s:\n%s\n%s\n", key.File, key.Name, key.Value)
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
