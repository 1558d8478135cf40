package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/keystore/rotation"
)

// Flags that several verbs share, with the same meaning.

func keysFlag() cli.Flag { return settings.Named("keys").Flag() }

func selectorFlag() cli.Flag { return settings.Named("selector").Flag() }

// withKeyFlags adds to a verb that reads the key directory the flags of signpostd
// for it that the verb has not. They are hidden: most users set variables.
func withKeyFlags(flags []cli.Flag) []cli.Flag {
	if !hasFlag(flags, "keys") {
		return flags
	}
	for _, setting := range settings.ForKeys() {
		if hasFlag(flags, setting.Name) {
			continue
		}
		flag := setting.Flag()
		switch flag := flag.(type) {
		case *cli.StringFlag:
			flag.Hidden = true
		case *cli.BoolFlag:
			flag.Hidden = true
		}
		flags = append(flags, flag)
	}
	return flags
}

func hasFlag(flags []cli.Flag, name string) bool {
	return slices.ContainsFunc(flags, func(flag cli.Flag) bool { return slices.Contains(flag.Names(), name) })
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON, as shown below"}
}

func resolverFlag() cli.Flag { return settings.Named("resolver").Flag() }

// dnsRate is the setting of signpostd, with a higher default: somebody waits.
func dnsRate() settings.Setting {
	setting := settings.Named("dns-rate")
	setting.Default = "200"
	return setting
}

func allFlag() cli.Flag {
	return &cli.BoolFlag{Name: "all", Usage: "every domain that there are keys for"}
}

func timeoutFlag(value time.Duration) cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Value: value, Usage: "wait for an answer for `TIME`, such as 10s or 2m",
		Action: func(_ *cli.Context, given time.Duration) error {
			if given <= 0 {
				return finding.WithHint(usageError("--timeout: invalid duration %v", given),
					"give one like 30s")
			}
			return nil
		}}
}

// keyDirectory reads the settings of signpostd for the key directory. Others are
// flags of the verb that mean something else than the setting with their name.
func keyDirectory(c *cli.Context, others ...string) (settings.Keys, error) {
	options, err := settings.KeyDirectory(c, others...)
	if err != nil {
		return options, exitError{exitUsage, err}
	}
	return options, nil
}

// keySet is the keys that were read, where, and what the DNS is for.
type keySet struct {
	*keystore.Snapshot
	place place.Place
	mode  rotation.Mode
}

// loadKeys reads the keys of domains, or of all without any, as signpostd does. A key
// directory is read whole. Where there is none, it says how to make one for the domains.
func loadKeys(c *cli.Context, domains ...string) (keySet, error) {
	return loadMore(c, domains, nil)
}

// loadMore is loadKeys that reads the keys of some more domains.
func loadMore(c *cli.Context, domains, more []string) (keySet, error) {
	options, err := keyDirectory(c)
	if err != nil {
		return keySet{}, err
	}
	set := keySet{place: options.Place(), mode: options.Mode}
	names := slices.Compact(slices.Sorted(slices.Values(slices.Concat(domains, more))))
	set.Snapshot, err = set.place.Load(c.Context, names...)
	if err != nil {
		if len(domains) == 0 {
			domains = []string{"example.org"}
		}
		return set, exitError{exitUnknown, noDirectory(err, &options, "make this one:\n"+
			"signpost keygen --mkdir"+keysOption(options.Text)+" "+strings.Join(domains, " "))}
	}
	return set, nil
}

// loadShared reads the keys of --shared-key, nil without any.
func loadShared(c *cli.Context) (*keystore.SharedKeys, error) {
	files, err := settings.Parse(c, "shared-key", settings.ParseShared)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	options, err := keyDirectory(c)
	if err != nil || len(files) == 0 {
		return nil, err
	}
	shared, err := keystore.LoadShared(files, options.Options)
	if err != nil {
		return nil, exitError{exitUnknown, err}
	}
	return shared, nil
}

// keysOption is what another command line needs to find the same keys. Passwords in the
// URL of a store are not part of it.
func keysOption(text string) string {
	keys := settings.Named("keys")
	if text == keys.Default || text == os.Getenv(keys.Variables[0]) {
		return ""
	}
	return " --keys " + shellWord(settings.WithoutPasswords(text))
}

// domainsOrAll returns the arguments as domains, and none with --all.
func domainsOrAll(c *cli.Context) ([]string, error) {
	if c.Bool("all") == c.Args().Present() {
		return nil, finding.WithHint(usageError("give domains, or --all"), "signpost %s example.org", c.Command.Name)
	}
	if c.Bool("all") {
		return nil, nil
	}
	return domainArgs(c)
}

// domainArgs returns the arguments as domains in A-labels, each once.
func domainArgs(c *cli.Context) ([]string, error) {
	if !c.Args().Present() {
		return nil, finding.WithHint(usageError("which domain?"),
			"signpost %s example.org", c.Command.Name)
	}
	var domains []string
	seen := make(map[string]bool)
	for _, arg := range c.Args().Slice() {
		domain, err := keystore.Domain(arg)
		if err != nil {
			return nil, finding.WithHint(usageError("%w", err),
				"%s", domainHint(arg))
		}
		if !seen[domain] {
			seen[domain] = true
			domains = append(domains, domain)
		}
	}
	return domains, nil
}

// domainHint says how to give a domain in place of what was given.
func domainHint(arg string) string {
	_, host, isURL := strings.Cut(arg, "://")
	host, _, _ = strings.Cut(host, "/")
	_, behind, isAddress := strings.Cut(arg, "@")
	switch {
	case isURL:
		behind = host
	case strings.Contains(arg, ","):
		return "give each domain as an argument of its own, with blanks between"
	case !isAddress:
		return "give it as example.org"
	}
	if domain, err := keystore.Domain(behind); err == nil {
		return "give the domain alone: " + domain
	}
	return "give the domain alone, as in example.org"
}

// input is a message to read: a file, or standard input as "-".
type input struct {
	Name string
	io.ReadCloser
}

// inputs opens the files that are given as arguments, or standard input when
// there are none.
func inputs(c *cli.Context) ([]input, error) {
	names := c.Args().Slice()
	if len(names) == 0 {
		names = []string{"-"}
	}
	var files []input
	for _, name := range names {
		if name == "-" {
			files = append(files, input{"standard input", io.NopCloser(c.App.Reader)})
			continue
		}
		file, err := os.Open(name)
		if err == nil {
			var info os.FileInfo
			if info, err = file.Stat(); err == nil && info.IsDir() {
				err = fmt.Errorf("%s is a directory, not a message", name)
			}
		}
		if err != nil {
			for _, opened := range files {
				err = errors.Join(err, opened.Close())
			}
			return nil, exitError{exitUsage, err}
		}
		files = append(files, input{name, file})
	}
	return files, nil
}
