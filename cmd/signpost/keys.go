package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

func keysCommand() *cli.Command {
	return &cli.Command{
		Name:      "keys",
		Usage:     "show what is in the key directory, and which keys sign",
		UsageText: "signpost keys [options] [DOMAIN...]",
		Flags: []cli.Flag{
			keysFlag(),
			selectorFlag(),
			&cli.BoolFlag{Name: "dns", Usage: "ask the DNS, and show the stage of each key and which one signs for that"},
			daemonFlag(),
			resolverFlag(),
			timeoutFlag(5 * time.Second),
			jsonFlag(),
		},
		Action: showKeys,
	}
}

// keysAnswer is the JSON form of the answer.
type keysAnswer struct {
	Directory string            `json:"directory"`
	Daemon    string            `json:"daemon,omitempty"` // that was asked, in place of a directory
	Keys      []shownKey        `json:"keys"`
	Findings  []finding.Finding `json:"findings"`

	open []*keystore.Key // that every user can read
}

type shownKey struct {
	Domain   string             `json:"domain"`
	Selector string             `json:"selector"`
	Type     keystore.Algorithm `json:"type"`
	Bits     int                `json:"bits"`
	File     string             `json:"file"`
	Modified time.Time          `json:"modified"`
	Signs    bool               `json:"signs"`
	Stage    keystore.Stage     `json:"stage,omitempty"` // with --dns
	DNS      string             `json:"dns,omitempty"`   // what it says
}

func showKeys(c *cli.Context) error {
	var domains []string
	if c.Args().Present() {
		var err error
		if domains, err = domainArgs(c); err != nil {
			return err
		}
	}
	answer := keysAnswer{Directory: c.String("keys"), Keys: []shownKey{}, Findings: []finding.Finding{}}
	running, err := openDaemon(c)
	switch {
	case err != nil:
		return err
	case running != nil && c.Bool("dns"):
		return usageError("--dns and --daemon exclude each other: signpostd says what the DNS told it")
	case running != nil:
		err = answer.askDaemon(c.Context, running, domains)
	default:
		err = answer.read(c, domains)
	}
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(c, answer)
	} else {
		printKeys(c, answer.Keys)
		printFindings(c, answer.Findings)
	}
	if err != nil {
		return err
	}
	return verdictOf(answer.Findings)
}

// read takes up what the key directory has, of all domains or of those.
func (a *keysAnswer) read(c *cli.Context, domains []string) error {
	snapshot, err := loadKeys(c)
	if err != nil {
		return err
	}
	shown := snapshot.Domains()
	if domains != nil {
		shown = domains
	}
	for _, problem := range snapshot.Problems() {
		if domains == nil || slices.Contains(domains, problem.Domain) {
			a.Findings = append(a.Findings, brokenKey(problem))
		}
	}
	for _, domain := range shown {
		a.add(snapshot, domain)
	}
	if c.Bool("dns") {
		if err := a.ask(c, snapshot, shown); err != nil {
			return err
		}
	}
	a.addOpen()
	if domains == nil {
		for _, file := range keystore.Unclaimed(a.Directory) {
			a.Findings = append(a.Findings, finding.Finding{
				Code: "dkim-key-unclaimed", Level: finding.Note, Name: file, What: "it holds a private key and has not the name of one",
				Effect: "signpostd passes it over", Fix: "to sign with it, call it <domain>/<selector>.private",
			})
		}
	}
	if len(a.Keys) == 0 && len(snapshot.Domains()) == 0 && len(snapshot.Problems()) == 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-key-file", Level: finding.Fault, Name: a.Directory, What: "there is no key in it", Effect: "no mail is signed",
			Fix: "make one with \"signpost keygen" + keysOption(a.Directory) + " example.org\", or give another directory with --keys",
		})
	}
	return nil
}

// add takes up the keys of one domain, and what can be said of them.
func (a *keysAnswer) add(snapshot *keystore.Snapshot, domain string) {
	keys := snapshot.Keys(domain)
	signing, err := snapshot.Signing(domain)
	if err == keystore.ErrNoKey {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-key-file", Level: finding.Fault, Name: domain, What: "there is no key for it in " + a.Directory, Effect: "its mail is not signed",
			Fix: "make one with \"signpost keygen" + keysOption(a.Directory) + " " + domain + "\"",
		})
	}
	onlyEd25519 := len(signing) > 0
	for _, key := range keys {
		if info, err := os.Stat(key.File); err == nil && info.Mode().Perm()&0o004 != 0 {
			a.open = append(a.open, key)
		}
		a.Keys = append(a.Keys, shownKey{
			Domain: key.Domain, Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits,
			File: key.File, Modified: key.ModTime.UTC().Truncate(time.Second), Signs: slices.Contains(signing, key),
		})
	}
	for _, key := range signing {
		onlyEd25519 = onlyEd25519 && key.Algorithm == keystore.Ed25519
		if key.Algorithm == keystore.RSA && key.Bits < keystore.WeakBits {
			a.Findings = append(a.Findings, finding.Finding{
				Code: "dkim-weak-key", Level: finding.Warning, Name: domain,
				What:   fmt.Sprintf("the key with selector %s has only %d bits", key.Selector, key.Bits),
				Effect: "2048 are asked of signers (RFC 8301, section 3.2), and receivers begin to insist",
				Fix:    "make a new one with \"signpost keygen\"",
			})
		}
	}
	if onlyEd25519 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-rsa-key", Level: finding.Warning, Name: domain,
			What:   "it has only an Ed25519 key",
			Effect: "many receivers cannot verify that yet",
			Fix:    "make an RSA key beside it with \"signpost keygen --now" + keysOption(a.Directory) + " " + domain + "\", and publish its record",
		})
	}
}

// ask gives each key its stage by what the DNS says, and what signs for that.
func (a *keysAnswer) ask(c *cli.Context, snapshot *keystore.Snapshot, domains []string) error {
	resolver, err := resolverOf(c)
	if err != nil {
		return err
	}
	type result struct {
		keys []keystore.Asked
		plan *keystore.Rotation
		err  error
	}
	at, unknown := 0, 0
	for result := range inOrder(domains, func(domain string) (r result) {
		if r.keys, r.err = snapshot.Ask(c.Context, resolver, domain, resolver.Patience); r.err == nil {
			r.plan, r.err = keystore.ReadRotation(a.Directory, domain)
		}
		return r
	}) {
		if result.err != nil {
			return result.err
		}
		for _, key := range result.keys {
			shown := &a.Keys[at]
			shown.Stage, _ = result.plan.Stage(key, keystore.Overlap, time.Now())
			shown.Signs, shown.DNS = key.Signs, key.Said.Text
			if key.Said.Presence == dns.Unknown {
				unknown++
			}
			at++
		}
	}
	if unknown > 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dns-failed", Level: finding.Unknown, Name: a.Directory, What: fmt.Sprintf("of %d keys the DNS does not say whether they are published", unknown),
			Effect: "a signpostd that has asked before stays with what it knows", Fix: "ask again, or another resolver with --resolver",
		})
	}
	return nil
}

// addOpen tells of keys that every user can read: of a great many at once, for
// then it is how the directory is used.
func (a *keysAnswer) addOpen() {
	const effect = "every user of this machine can read %s, and sign in the name of the domain"
	if len(a.open) > 3 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-key-open", Level: finding.Note, Name: a.Directory,
			What:   fmt.Sprintf("%d keys are open to all, %s among them", len(a.open), a.open[0].File),
			Effect: fmt.Sprintf(effect, "them"), Fix: "find -L " + a.Directory + " -type f ! -name '*.txt' -exec chmod o= {} +",
		})
		return
	}
	for _, key := range a.open {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-key-open", Level: finding.Note, Name: key.Domain, What: "key " + key.File + " is open to all",
			Effect: fmt.Sprintf(effect, "it"), Fix: "chmod o= " + key.File,
		})
	}
}

func brokenKey(problem keystore.Problem) finding.Finding {
	what, fix, hinted := strings.Cut(problem.Err.Error(), "; hint: ")
	if !hinted {
		fix = "put the key back from a copy, or remove the file"
	}
	f := finding.Finding{Code: "dkim-key-broken", Level: finding.Fault, Name: problem.Domain, What: "key " + problem.File + ": " + what, Effect: "it does not sign", Fix: fix}
	if f.Name == "" {
		f.Name, f.What = problem.File, what
	}
	return f
}

func printKeys(c *cli.Context, keys []shownKey) {
	if len(keys) == 0 {
		return
	}
	s := styleOf(c)
	var plain strings.Builder
	table := tabwriter.NewWriter(&plain, 0, 0, 2, ' ', 0)
	column := "SIGNS"
	if keys[0].Stage != "" {
		column = "STAGE"
	}
	fmt.Fprintf(table, "DOMAIN\tSELECTOR\tTYPE\tBITS\tAGE\t%s\tFILE\n", column)
	for _, key := range keys {
		signs := "no"
		switch {
		case key.Stage != "":
			signs = string(key.Stage)
		case key.Signs:
			signs = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", key.Domain, key.Selector, key.Type, key.Bits, ageOf(key.Modified), signs, key.File)
	}
	table.Flush()
	// Colour after the columns are laid out, for it would count as width.
	for i, line := range strings.Split(strings.TrimSuffix(plain.String(), "\n"), "\n") {
		switch {
		case i == 0:
			line = s.bold(line)
		case keys[i-1].Signs:
			line = s.green(line)
		}
		io.WriteString(c.App.Writer, line+"\n")
	}
}

// ageOf says how old a key is, in the largest unit of which there are two.
func ageOf(made time.Time) string {
	age := time.Since(made)
	if age < 0 {
		return "in the future"
	}
	const day = 24 * time.Hour
	for _, unit := range []struct {
		name string
		time.Duration
	}{{"years", 365 * day}, {"months", 30 * day}, {"days", day}, {"hours", time.Hour}, {"minutes", time.Minute}} {
		if n := age / unit.Duration; n >= 2 {
			return fmt.Sprintf("%d %s", n, unit.name)
		}
	}
	return "new"
}
