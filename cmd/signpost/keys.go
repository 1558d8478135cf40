package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
)

func keysCommand() *cli.Command {
	return &cli.Command{
		Name:      "keys",
		Usage:     "show which keys there are, and which of them sign",
		UsageText: "signpost keys [options] [DOMAIN...]\nsignpost keys --remove [options] DOMAIN[/SELECTOR]...",
		Flags: append([]cli.Flag{
			keysFlag(),
			selectorFlag(),
			&cli.BoolFlag{Name: "dns", Usage: "ask the DNS, and show the stage of each key and which one signs for that"},
			&cli.BoolFlag{Name: "remove", Usage: "archive keys, so that they no longer sign"},
			&cli.BoolFlag{Name: "now", Usage: "with --remove, the last key of a domain too"},
			daemonFlag(),
			resolverFlag(),
			timeoutFlag(5 * time.Second),
			jsonFlag(),
		}, secretFlags("the keys")...),
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
	Modified time.Time          `json:"modified,omitzero"`
	Signs    *bool              `json:"signs"`           // null when that is not known
	Stage    rotation.Stage     `json:"stage,omitempty"` // with --dns
	DNS      string             `json:"dns,omitempty"`   // what it says
}

func showKeys(c *cli.Context) error {
	asSecret, err := wantsSecret(c)
	switch {
	case err != nil:
		return err
	case asSecret && (c.Bool("remove") || c.Bool("dns") || c.String("daemon") != os.Getenv("SIGNPOST_DAEMON")):
		return usageError("--as goes with neither --remove, --dns nor --daemon")
	case c.Bool("remove"):
		return removeKeys(c)
	case c.Bool("now"):
		return usageError("--now goes with --remove")
	}
	var domains []string
	if c.Args().Present() {
		if domains, err = domainArgs(c); err != nil {
			return err
		}
	}
	if asSecret {
		set, err := loadKeys(c, domains...)
		if err != nil {
			return err
		}
		return printSecret(c, set, domains)
	}
	answer := keysAnswer{Directory: settings.WithoutPasswords(c.String("keys")),
		Keys: []shownKey{}, Findings: []finding.Finding{}}
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
	return verdictOf(levelsOf(answer.Findings))
}

// read takes what the key directory has, of all domains or of those.
func (a *keysAnswer) read(c *cli.Context, domains []string) error {
	set, err := loadKeys(c, domains...)
	if err != nil {
		return err
	}
	snapshot, mode := set.Snapshot, set.mode
	shown := snapshot.Domains()
	if domains != nil {
		shown = domains
	}
	for _, problem := range snapshot.Problems() {
		if domains == nil || slices.Contains(domains, problem.Domain) {
			a.Findings = append(a.Findings, brokenKey(problem))
		}
	}
	if c.Bool("dns") {
		err = a.ask(c, set, shown)
	} else {
		a.decide(snapshot, shown, mode)
	}
	if err != nil {
		return err
	}
	a.addOpen()
	if domains == nil {
		options, err := keyDirectory(c)
		if err != nil {
			return err
		}
		for _, source := range options.Sources {
			if source.Dir != "" {
				a.addUnclaimed(options.In(source.Dir))
			}
		}
	}
	if len(a.Keys) == 0 && len(snapshot.Domains()) == 0 && len(snapshot.Problems()) == 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-key-file", Level: finding.Fault, Name: a.Directory,
			What: "there is no key in it", Effect: "no mail is signed",
			Fix: "make one with \"signpost keygen" + keysOption(a.Directory) + " example.org\", " +
				"or give another directory with --keys",
		})
	}
	return nil
}

// addUnclaimed tells of keys in a directory whose names nobody understands.
func (a *keysAnswer) addUnclaimed(options keystore.Options) {
	for _, key := range keystore.Unclaimed(options) {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-key-unclaimed", Level: finding.Note, Name: key.File,
			What:   "it contains a private key, but its name matches no layout",
			Effect: "signpostd ignores it", Fix: key.Fix,
		})
	}
}

// decide shows the keys of domains without the DNS. Of several keys of a domain
// which one signs depends on that, so that it is not known then.
func (a *keysAnswer) decide(snapshot *keystore.Snapshot, domains []string, mode rotation.Mode) {
	undecided := 0
	for _, domain := range domains {
		keys := snapshot.Keys(domain)
		all := rotation.Decide(keys, nil, mode, time.Now())
		certain := rotation.Certain(keys, mode)
		if !certain {
			undecided++
		}
		for _, key := range all {
			shown := newShownKey(key)
			if shown.Stage = ""; !certain {
				shown.Signs = nil
			}
			a.Keys = append(a.Keys, shown)
		}
		a.judge(snapshot, domain, all, certain)
	}
	if undecided > 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-signer-unknown", Level: finding.Note, Name: a.Directory,
			What:   several(undecided) + ", and which of them sign depends on the DNS",
			Effect: "it was not asked", Fix: "ask it with --dns, or a running signpostd with --daemon",
		})
	}
}

func several(domains int) string {
	if domains == 1 {
		return "1 domain has several keys"
	}
	return fmt.Sprintf("%d domains have several keys", domains)
}

// ask shows the keys of domains by what the DNS says.
func (a *keysAnswer) ask(c *cli.Context, set keySet, domains []string) error {
	resolver, err := resolverOf(c)
	if err != nil {
		return err
	}
	look := rotation.Look{Place: set.place, Mode: set.mode, Ask: rotation.Everywhere(resolver), Now: time.Now()}
	type result struct {
		domain string
		keys   []rotation.Answered
	}
	unknown := 0
	b := newBatch(c, "asked for", "not known", domains)
	for result := range results(b, atOnce(resolver), func(domain string) (result, outcome) {
		keys, _ := look.Domain(c.Context, domain, set.Keys(domain)) // of notes that are damaged rotate tells
		if c.Context.Err() != nil {
			return result{}, undone
		}
		return result{domain, keys}, good
	}) {
		var all []rotation.Status
		for _, key := range result.keys {
			all = append(all, key.Status)
			shown := newShownKey(key.Status)
			if shown.DNS = key.Said.Text; key.Said.Presence == dns.Unknown {
				unknown++
			}
			a.Keys = append(a.Keys, shown)
		}
		a.judge(set.Snapshot, result.domain, all, true)
	}
	if err := b.stopped(); err != nil {
		return err
	}
	if unknown > 0 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dns-failed", Level: finding.Unknown, Name: a.Directory,
			What:   fmt.Sprintf("of %d keys the DNS does not say whether they are published", unknown),
			Effect: "a signpostd that has asked before stays with what it knows",
			Fix:    "ask again, or another resolver with --resolver",
		})
	}
	return nil
}

// judge finds what is wrong with the keys of a domain. Where it is not certain which
// ones sign, only what would be wrong with any of them is.
func (a *keysAnswer) judge(snapshot *keystore.Snapshot, domain string, keys []rotation.Status, certain bool) {
	if snapshot.Domain(domain).Err() == keystore.ErrNoKey {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-no-key-file", Level: finding.Fault, Name: domain,
			What: "there is no key for it in " + a.Directory, Effect: "its mail is not signed",
			Fix: "make one with \"signpost keygen" + keysOption(a.Directory) + " " + domain + "\"",
		})
	}
	var signing []*keystore.Key
	weak := func(key *keystore.Key) bool { return key.Algorithm == keystore.RSA && key.Bits < keystore.WeakBits }
	strong := false
	for _, key := range keys {
		if info, err := os.Stat(key.File); err == nil && info.Mode().Perm()&0o004 != 0 {
			a.open = append(a.open, key.Key)
		}
		if key.Signs || !certain {
			signing = append(signing, key.Key)
		}
		strong = strong || key.Algorithm == keystore.RSA && !weak(key.Key)
	}
	onlyEd25519 := len(signing) > 0
	for _, key := range signing {
		onlyEd25519 = onlyEd25519 && key.Algorithm == keystore.Ed25519
		if weak(key) && (certain || !strong) {
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
			Fix: "make an RSA key beside it with \"signpost keygen --now" + keysOption(a.Directory) + " " + domain +
				"\", and publish its record",
		})
	}
}

func newShownKey(key rotation.Status) shownKey {
	return shownKey{
		Domain: key.Domain, Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File,
		Modified: key.ModTime.UTC().Truncate(time.Second), Signs: &key.Signs, Stage: key.Stage,
	}
}

// addOpen tells of keys that every user can read: of a great many at once, for
// then it is how the directory is used.
func (a *keysAnswer) addOpen() {
	const effect = "every user of this machine can read %s, and sign in the name of the domain"
	if len(a.open) > 3 {
		a.Findings = append(a.Findings, finding.Finding{
			Code: "dkim-key-open", Level: finding.Note, Name: a.Directory,
			What:   fmt.Sprintf("%d keys are open to all, %s among them", len(a.open), a.open[0].File),
			Effect: fmt.Sprintf(effect, "them"), Fix: "find -L " + a.Directory +
				" -type f \\( -name '*.private*' -o -name '*.key' \\) -exec chmod o= {} +",
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
	what, fix := finding.Split(problem.Err)
	f := finding.Finding{
		Code: "dkim-key-broken", Level: finding.Fault, Name: problem.Domain,
		What: "key " + problem.File + ": " + what, Effect: "it does not sign",
		Fix: cmp.Or(fix, "put the key back from a copy, or remove the file"),
	}
	if problem.InForce { // the domain has other keys in another place
		f.Effect = "which of all of them sign depends on the DNS"
	}
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
		case key.Signs == nil:
			signs = "unknown"
		case *key.Signs:
			signs = "yes"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", key.Domain, key.Selector, key.Type, key.Bits,
			ageOf(key.Modified), signs, key.File)
	}
	table.Flush()
	// Colour after the columns are laid out, for it would count as width.
	for i, line := range strings.Split(strings.TrimSuffix(plain.String(), "\n"), "\n") {
		switch {
		case i == 0:
			line = s.bold(line)
		case keys[i-1].Signs != nil && *keys[i-1].Signs:
			line = s.green(line)
		}
		io.WriteString(c.App.Writer, line+"\n")
	}
}

// ageOf says how old a key is, in the largest unit of which there are two.
func ageOf(made time.Time) string {
	age := time.Since(made)
	switch {
	case made.IsZero():
		return "unknown"
	case age < -time.Minute: // a second key of the same moment is made a second later
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
