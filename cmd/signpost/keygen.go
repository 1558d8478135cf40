package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/keystore/record"
)

func keygenCommand() *cli.Command {
	return &cli.Command{
		Name:      "keygen",
		Usage:     "make keys for domains",
		UsageText: "signpost keygen [options] DOMAIN...",
		Flags: append([]cli.Flag{
			keysFlag(),
			&cli.StringFlag{Name: "type", Value: "rsa", Usage: "type of the key, `rsa|ed25519|both`"},
			&cli.IntFlag{Name: "bits", Value: keystore.WeakBits,
				Usage: "`SIZE` of an RSA key; at least that of --min-key-bits"},
			&cli.StringFlag{Name: "selector", Usage: "`SELECTOR` of the key (default: from the " +
				"date, such as s20261122)"},
			&cli.BoolFlag{Name: "mkdir", Usage: "make the key directory where there is none"},
			&cli.BoolFlag{Name: "flat", Usage: "make <domain>.private, as the image boky/postfix has it"},
			&cli.BoolFlag{Name: "now", Usage: "make a key for a domain that has one already"},
			&cli.BoolFlag{Name: "missing", DisableDefaultText: true,
				Usage: "pass over domains that have a key, usable or not"},
			jsonFlag(),
		}, secretFlags("all keys of the key directory")...),
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

func keygen(c *cli.Context) error {
	domains, err := domainArgs(c)
	if err != nil {
		return err
	}
	if c.Bool("missing") && c.Bool("now") {
		return usageError("--missing and --now exclude each other")
	}
	wanted, err := readKeygenFlags(c)
	if err != nil {
		return err
	}
	asSecret, err := wantsSecret(c)
	if err != nil {
		return err
	}
	keys := wanted.keys.Place()
	present, err := keys.Load(c.Context, domains...)
	if errors.Is(err, fs.ErrNotExist) {
		present, err = &keystore.Snapshot{}, refuseMissing(c, err, &wanted.keys)
	}
	if err != nil {
		return err
	}
	answer := keygenAnswer{Keys: []madeKey{}, Failed: []failedDomain{}}
	domains = slices.DeleteFunc(domains, func(domain string) bool {
		return c.Bool("missing") && !errors.Is(present.Domain(domain).Err(), keystore.ErrNoKey)
	})
	b := newBatch(c, "made keys for", "failed", domains)
	printed, anyFailed := false, false
	out := c.App.Writer
	if asSecret {
		out = c.App.ErrWriter
	}
	for made := range results(b, runtime.GOMAXPROCS(0), func(domain string) (*madeKeys, outcome) {
		made := makeKeys(c, keys, wanted, domain, present)
		if made.err != nil {
			return made, bad
		}
		return made, good
	}) {
		for _, warning := range made.warnings {
			warn(c, "%w", warning)
		}
		if made.err != nil {
			anyFailed = true
			answer.Failed = append(answer.Failed, failed(c, made.domain, made.err))
		}
		if c.Bool("json") {
			answer.Keys = append(answer.Keys, made.keys...)
			continue
		}
		printMade(c, out, wanted, made.keys, printed)
		printed = printed || len(made.keys) > 0
	}
	stopped := b.stopped()
	if asSecret && stopped == nil {
		if present, err = keys.Load(c.Context); err != nil {
			return err
		}
		if err := printSecret(c, keySet{Snapshot: present, place: keys}, nil); err != nil {
			return err
		}
	}
	err = printAnswer(c, answer, anyFailed, func() {})
	if stopped != nil {
		return stopped
	}
	return err
}

// madeKeys is what became of one domain.
type madeKeys struct {
	domain   string
	keys     []madeKey
	warnings []error
	err      error
}

// makeKeys makes the keys of one domain.
func makeKeys(
	c *cli.Context, keys place.Place, wanted *keygenFlags, domain string, there *keystore.Snapshot,
) *madeKeys {
	m := &madeKeys{domain: domain}
	present := there.Keys(domain)
	// What we cannot read signpostd perhaps can.
	if problems := there.Domain(domain).Problems(); len(problems) > 0 && len(present) == 0 && !c.Bool("now") {
		f := brokenKey(problems[0])
		m.err = finding.WithHint(fmt.Errorf("%s has a key already, but %s", domain, f.What), "%s", f.Advice())
		return m
	}
	if len(present) > 0 && !c.Bool("now") {
		m.err = finding.WithHint(fmt.Errorf("%s has a key already", domain),
			"to change keys there is signpost rotate%s %s, and --now makes one beside it", keysOption(wanted.keys.Text), domain)
		return m
	}
	for _, order := range wanted.orders(domain) {
		// A key that was begun is made to its end.
		made, err := keys.Make(context.WithoutCancel(c.Context), order)
		if err != nil {
			m.err = fmt.Errorf("%s: %w", domain, err)
			return m
		}
		if made.RecordErr != nil {
			m.warn(fmt.Errorf("%s: the key is made and counts: %w", domain, made.RecordErr))
		}
		m.keys = append(m.keys, madeKey{
			Domain: domain, Selector: made.Selector, Type: made.Algorithm, Bits: made.Bits,
			File: made.File, RecordFile: made.RecordFile,
			Name: record.Name(made.Selector, domain), Value: made.Record.String(),
		})
	}
	if len(present) > 0 {
		m.warn(finding.WithHint(fmt.Errorf("%s: signpostd signs with the new key as soon "+
			"as its record is published, or at once with --dns-check=off", domain),
			"publish it"))
	}
	if wanted.flat {
		m.warn(wanted.wrongSelector(domain))
	}
	isRSA := func(key *keystore.Key) bool { return key.Algorithm == keystore.RSA }
	if wanted.rsa == "" && !slices.ContainsFunc(present, isRSA) {
		m.warn(finding.WithHint(fmt.Errorf("%s has only an Ed25519 key, and many "+
			"receivers cannot verify that", domain),
			"make an RSA key too, as --type both does without --flat"))
	}
	return m
}

func (m *madeKeys) warn(err error) {
	if err != nil {
		m.warnings = append(m.warnings, err)
	}
}

func printMade(c *cli.Context, out io.Writer, wanted *keygenFlags, keys []madeKey, more bool) {
	s := styleOf(c)
	for i, key := range keys {
		if more || i > 0 {
			fmt.Fprintln(out)
		}
		kind := fmt.Sprintf("RSA key of %d bits", key.Bits)
		if key.Type == keystore.Ed25519 {
			kind = "Ed25519 key"
		}
		fmt.Fprintf(out, "%s: made an %s with selector %s\n", s.bold(key.Domain), kind, key.Selector)
		fmt.Fprintf(out, "   key     %s\n", key.File)
		if key.RecordFile != "" {
			fmt.Fprintf(out, "   record  %s\n", key.RecordFile)
		}
		fmt.Fprintf(out, "   publish this TXT record, in one line:\n%s\n%s\n", key.Name, key.Value)
		if i+1 == len(keys) || keys[i+1].Domain != key.Domain {
			options := wanted.options(c, key.Domain)
			fmt.Fprintf(out, "   next    signpost dns%s %s\n", options, key.Domain)
			fmt.Fprintf(out, "   then    signpost check%s %s\n", options, key.Domain)
		}
	}
}

// keygenFlags is what the flags say of the keys to make.
type keygenFlags struct {
	rsa, ed25519 string // selectors; empty when no such key is wanted
	bits         int
	flat         bool
	given        keystore.Selectors // of flat keys, by --selector
	keys         settings.Keys      // as signpostd reads them; --selector is another here
}

func readKeygenFlags(c *cli.Context) (*keygenFlags, error) {
	f := &keygenFlags{bits: c.Int("bits"), flat: c.Bool("flat")}
	var err error
	if f.keys, err = keyDirectory(c, "selector"); err != nil {
		return nil, err
	}
	stores := slices.ContainsFunc(f.keys.Sources, func(s settings.Source) bool { return s.Backend != nil })
	if stores && (f.flat || c.Bool("mkdir")) {
		return nil, usageError("--flat and --mkdir are for key directories")
	}
	if !c.IsSet("bits") {
		f.bits = max(f.bits, f.keys.MinBits)
	}
	kind, selector := c.String("type"), c.String("selector")
	if _, err := settings.OneOf("rsa", "ed25519", "both")(kind); err != nil {
		return nil, usageError("--type: %w", err)
	}
	switch {
	case kind == "ed25519" && c.IsSet("bits"):
		return nil, finding.WithHint(usageError("--bits %d: an Ed25519 key has one size only", f.bits),
			"leave --bits away")
	case f.bits < keystore.MinBits:
		return nil, finding.WithHint(usageError("--bits %d is too short: verifiers refuse RSA "+
			"keys under %d (RFC 8301)", f.bits, keystore.MinBits),
			"%d is right", keystore.WeakBits)
	case kind != "ed25519" && f.bits < f.keys.MinBits:
		return nil, finding.WithHint(usageError("--bits %d: signpostd rejects RSA keys under %d bits",
			f.bits, f.keys.MinBits),
			"leave --bits out, or lower $SIGNPOST_MIN_KEY_BITS")
	case f.bits > keystore.MaxBits:
		return nil, finding.WithHint(usageError("--bits %d is too long: %d is the most", f.bits, keystore.MaxBits),
			"%d is right", keystore.WeakBits)
	case f.bits < keystore.WeakBits:
		warn(c, "%w", finding.WithHint(fmt.Errorf("RSA keys of %d bits are weak", f.bits),
			"%d is right", keystore.WeakBits))
	case f.bits > keystore.LargeBits:
		warn(c, "%w", finding.WithHint(fmt.Errorf("verifiers need not take RSA keys of more than "+
			"%d bits (RFC 8301)", keystore.LargeBits),
			"%d is right", keystore.WeakBits))
	}
	if f.flat {
		return f, f.readFlat(kind, selector)
	}
	if selector == "" {
		selector = time.Now().Format("s20060102")
	} else if name, _, whole := strings.Cut(selector, "._domainkey"); whole {
		return nil, finding.WithHint(usageError("--selector: %q is the name of a record", selector),
			"give the selector alone: %s", name)
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
	f.given = f.keys.Selectors
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
		order := keystore.Order{Domain: domain, Selector: f.given.For(domain),
			Algorithm: keystore.Ed25519, Bits: 256, Flat: true}
		if f.rsa != "" {
			order.Algorithm, order.Bits = keystore.RSA, f.bits
		}
		return []keystore.Order{order}
	}
	if f.rsa != "" {
		orders = append(orders, keystore.Order{Domain: domain, Selector: f.rsa, Algorithm: keystore.RSA, Bits: f.bits})
	}
	if f.ed25519 != "" {
		orders = append(orders, keystore.Order{Domain: domain, Selector: f.ed25519,
			Algorithm: keystore.Ed25519, Bits: 256})
	}
	return orders
}

// wrongSelector: signpostd cannot read the selector off the name of a flat file.
func (f *keygenFlags) wrongSelector(domain string) error {
	given, daemon := f.given.For(domain), f.keys.Selectors.For(domain)
	if given == daemon {
		return nil
	}
	return finding.WithHint(fmt.Errorf("signpostd takes selector %q for %s.private, "+
		"not %q, unless it is told", daemon, domain, given),
		"start it with SIGNPOST_SELECTOR=%s=%s", domain, given)
}

// options returns what the next commands need to find the same keys.
func (f *keygenFlags) options(c *cli.Context, domain string) string {
	options := keysOption(f.keys.Text)
	if given := f.given.For(domain); f.flat && given != f.keys.Selectors.For(domain) {
		options += " --selector " + given
	}
	return options
}
