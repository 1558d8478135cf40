package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

func keygenCommand() *cli.Command {
	return &cli.Command{
		Name:      "keygen",
		Usage:     "make keys for domains",
		UsageText: "signpost keygen [options] DOMAIN...",
		Flags: []cli.Flag{
			keysFlag(),
			&cli.StringFlag{Name: "type", Value: "rsa", Usage: "type of the key, `rsa|ed25519|both`"},
			&cli.IntFlag{Name: "bits", Value: keystore.WeakBits, Usage: "`SIZE` of an RSA key; at least that of --min-key-bits"},
			&cli.StringFlag{Name: "selector", Usage: "`SELECTOR` of the key (default: from the date, such as s20261122)"},
			&cli.BoolFlag{Name: "flat", Usage: "make <domain>.private, as the image boky/postfix has it"},
			&cli.BoolFlag{Name: "now", Usage: "make a key for a domain that has one already"},
			jsonFlag(),
		},
		Action: keygen,
	}
}

// keygenAnswer is the JSON form of the answer.
type keygenAnswer struct {
	Keys   []madeKey      `json:"keys"`
	Failed []failedDomain `json:"failed"`
}

type madeKey struct {
	Domain     string             `json:"domain"`
	Selector   string             `json:"selector"`
	Type       keystore.Algorithm `json:"type"`
	Bits       int                `json:"bits"`
	File       string             `json:"file"`
	RecordFile string             `json:"record_file"`
	Name       string             `json:"name"`
	Value      string             `json:"value"`
}

type failedDomain struct {
	Domain string `json:"domain"`
	Error  string `json:"error"`
	Hint   string `json:"hint"`
}

func keygen(c *cli.Context) error {
	domains, err := domainArgs(c)
	if err != nil {
		return err
	}
	wanted, err := readKeygenFlags(c)
	if err != nil {
		return err
	}
	dir := c.String("keys")
	present, err := keystore.Load(wanted.directory)
	if errors.Is(err, fs.ErrNotExist) {
		present, err = &keystore.Snapshot{}, nil
	}
	if err != nil {
		return err
	}
	answer := keygenAnswer{Keys: []madeKey{}, Failed: []failedDomain{}}
	var done []string
	for _, domain := range domains {
		if slices.Contains(done, domain) {
			continue
		}
		done = append(done, domain)
		made, err := makeKeys(c, dir, wanted, domain, present)
		answer.Keys = append(answer.Keys, made...)
		if err != nil {
			printError(c.App.ErrWriter, "error", err)
			what, hint := finding.Split(err)
			answer.Failed = append(answer.Failed, failedDomain{domain, what, hint})
		}
	}
	if c.Bool("json") {
		err = printJSON(c, answer)
	} else {
		printMade(c, wanted, answer.Keys)
	}
	if err == nil && len(answer.Failed) > 0 {
		err = exitCode(exitFinding)
	}
	return err
}

// makeKeys makes the keys of one domain.
func makeKeys(c *cli.Context, dir string, wanted *keygenFlags, domain string, there *keystore.Snapshot) ([]madeKey, error) {
	present := there.Keys(domain)
	// What we cannot read signpostd perhaps can.
	for _, problem := range there.Problems() {
		if problem.Domain == domain && len(present) == 0 && !c.Bool("now") {
			f := brokenKey(problem)
			return nil, finding.WithHint(fmt.Errorf("%s has a key already, but %s", domain, f.What),
				"%s", f.Advice())
		}
	}
	if len(present) > 0 && !c.Bool("now") {
		return nil, finding.WithHint(fmt.Errorf("%s has a key already", domain),
			"to change keys there is signpost rotate%s %s, and --now makes one beside it", keysOption(dir), domain)
	}
	var keys []madeKey
	for _, order := range wanted.orders(domain) {
		made, err := keystore.Make(dir, order)
		if err != nil {
			return keys, fmt.Errorf("%s: %w", domain, err)
		}
		keys = append(keys, madeKey{
			Domain: domain, Selector: made.Selector, Type: made.Algorithm, Bits: made.Bits,
			File: made.File, RecordFile: made.RecordFile,
			Name: record.Name(made.Selector, domain), Value: made.Record.String(),
		})
	}
	if len(present) > 0 {
		warn(c, "%w", finding.WithHint(fmt.Errorf("%s: signpostd signs with the new key as soon as its record is published, or at once with --dns-check=off", domain),
			"publish it"))
	}
	if wanted.flat {
		wanted.warnOfSelector(c, domain)
	}
	isRSA := func(key *keystore.Key) bool { return key.Algorithm == keystore.RSA }
	if wanted.rsa == "" && !slices.ContainsFunc(present, isRSA) {
		warn(c, "%w", finding.WithHint(fmt.Errorf("%s has only an Ed25519 key, and many receivers cannot verify that", domain),
			"make an RSA key too, as --type both does without --flat"))
	}
	return keys, nil
}

func printMade(c *cli.Context, wanted *keygenFlags, keys []madeKey) {
	s := styleOf(c)
	for i, key := range keys {
		kind := fmt.Sprintf("RSA key of %d bits", key.Bits)
		if key.Type == keystore.Ed25519 {
			kind = "Ed25519 key"
		}
		fmt.Fprintf(c.App.Writer, "%s: made an %s with selector %s\n", s.bold(key.Domain), kind, key.Selector)
		fmt.Fprintf(c.App.Writer, "   key     %s\n   record  %s\n", key.File, key.RecordFile)
		fmt.Fprintf(c.App.Writer, "   publish this TXT record, in one line:\n%s\n%s\n", key.Name, key.Value)
		if i+1 == len(keys) || keys[i+1].Domain != key.Domain {
			options := wanted.options(c, key.Domain)
			fmt.Fprintf(c.App.Writer, "   next    signpost dns%s %s\n", options, key.Domain)
			fmt.Fprintf(c.App.Writer, "   then    signpost check%s %s\n", options, key.Domain)
		}
		if i+1 < len(keys) {
			fmt.Fprintln(c.App.Writer)
		}
	}
}

// keygenFlags is what the flags say of the keys to make.
type keygenFlags struct {
	rsa, ed25519 string // selectors; empty when no such key is wanted
	bits         int
	flat         bool
	given        keystore.Selectors // of flat keys, by --selector
	directory    keystore.Options   // as signpostd reads it; --selector is another here
}

func readKeygenFlags(c *cli.Context) (*keygenFlags, error) {
	f := &keygenFlags{bits: c.Int("bits"), flat: c.Bool("flat")}
	directory, err := keyDirectory(c, "selector")
	if f.directory = directory.Options; err != nil {
		return nil, err
	}
	if !c.IsSet("bits") {
		f.bits = max(f.bits, f.directory.MinBits)
	}
	kind, selector := c.String("type"), c.String("selector")
	if !slices.Contains([]string{"rsa", "ed25519", "both"}, kind) {
		return nil, finding.WithHint(usageError("--type %q is no type of key", kind),
			"it is rsa, ed25519 or both")
	}
	switch {
	case kind == "ed25519" && c.IsSet("bits"):
		return nil, finding.WithHint(usageError("--bits %d: an Ed25519 key has one size only", f.bits),
			"leave --bits away")
	case f.bits < keystore.MinBits:
		return nil, finding.WithHint(usageError("--bits %d is too short: verifiers refuse RSA keys under %d (RFC 8301)", f.bits, keystore.MinBits),
			"%d is right", keystore.WeakBits)
	case kind != "ed25519" && f.bits < f.directory.MinBits:
		return nil, finding.WithHint(usageError("--bits %d: signpostd rejects RSA keys under %d bits", f.bits, f.directory.MinBits),
			"leave --bits out, or lower $SIGNPOST_MIN_KEY_BITS")
	case f.bits > keystore.MaxBits:
		return nil, finding.WithHint(usageError("--bits %d is too long: %d is the most", f.bits, keystore.MaxBits),
			"%d is right", keystore.WeakBits)
	case f.bits < keystore.WeakBits:
		warn(c, "%w", finding.WithHint(fmt.Errorf("RSA keys of %d bits are weak", f.bits),
			"%d is right", keystore.WeakBits))
	case f.bits > keystore.LargeBits:
		warn(c, "%w", finding.WithHint(fmt.Errorf("verifiers need not take RSA keys of more than %d bits (RFC 8301)", keystore.LargeBits),
			"%d is right", keystore.WeakBits))
	}
	if f.flat {
		return f, f.readFlat(kind, selector)
	}
	if selector == "" {
		selector = time.Now().Format("s20060102")
	} else if selector, err = keystore.Selector(selector); err != nil {
		return nil, finding.WithHint(usageError("--selector: %w", err),
			"give one selector, such as s1")
	}
	switch kind {
	case "rsa":
		f.rsa = selector
	case "ed25519":
		f.ed25519 = selector
		if !c.IsSet("selector") {
			f.ed25519 += "e"
		}
	case "both":
		f.rsa, f.ed25519 = selector, selector+"e"
	}
	return f, nil
}

// readFlat: the name of a flat file has no selector and takes one key.
func (f *keygenFlags) readFlat(kind, selector string) error {
	if kind == "both" {
		return finding.WithHint(usageError("--flat has one file for a domain, so --type both cannot be"),
			"leave --flat away")
	}
	f.given = f.directory.Selectors
	if selector != "" {
		var err error
		if f.given, err = keystore.ParseSelectors(selector); err != nil {
			return usageError("--selector: %w", err)
		}
	}
	if kind == "rsa" {
		f.rsa = "flat"
	}
	return nil
}

func (f *keygenFlags) orders(domain string) (orders []keystore.Order) {
	if f.flat {
		order := keystore.Order{Domain: domain, Selector: f.given.For(domain), Algorithm: keystore.Ed25519, Bits: 256, Flat: true}
		if f.rsa != "" {
			order.Algorithm, order.Bits = keystore.RSA, f.bits
		}
		return []keystore.Order{order}
	}
	if f.rsa != "" {
		orders = append(orders, keystore.Order{Domain: domain, Selector: f.rsa, Algorithm: keystore.RSA, Bits: f.bits})
	}
	if f.ed25519 != "" {
		orders = append(orders, keystore.Order{Domain: domain, Selector: f.ed25519, Algorithm: keystore.Ed25519, Bits: 256})
	}
	return orders
}

// warnOfSelector: signpostd cannot read the selector off the name of a flat file.
func (f *keygenFlags) warnOfSelector(c *cli.Context, domain string) {
	if given, daemon := f.given.For(domain), f.directory.Selectors.For(domain); given != daemon {
		warn(c, "%w", finding.WithHint(fmt.Errorf("signpostd takes selector %q for %s.private, not %q, unless it is told", daemon, domain, given),
			"start it with SIGNPOST_SELECTOR=%s=%s", domain, given))
	}
}

// options returns what the next commands need to find the same keys.
func (f *keygenFlags) options(c *cli.Context, domain string) string {
	options := keysOption(c.String("keys"))
	if given := f.given.For(domain); f.flat && given != f.directory.Selectors.For(domain) {
		options += " --selector " + given
	}
	return options
}
