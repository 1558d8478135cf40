package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
)

// Flags that several verbs share, with the same meaning.

func keysFlag() *cli.StringFlag {
	return &cli.StringFlag{Name: "keys", Value: "/etc/opendkim/keys", EnvVars: []string{"SIGNPOST_KEYS"}, Usage: "key directory `DIR`"}
}

func selectorFlag() cli.Flag {
	return &cli.StringFlag{Name: "selector", EnvVars: []string{"SIGNPOST_SELECTOR", "DKIM_SELECTOR"},
		Usage: "`SELECTOR` of keys in files named after their domain alone, as in \"mail,example.org=s1\""}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON, as shown below"}
}

func resolverFlag() cli.Flag {
	return &cli.StringFlag{Name: "resolver", EnvVars: []string{"SIGNPOST_RESOLVER"},
		Usage: "ask the resolver at `ADDRESS`, host or host:port, in place of the system's"}
}

func timeoutFlag(value time.Duration) cli.Flag {
	return &cli.DurationFlag{Name: "timeout", Value: value, Usage: "wait for an answer for `TIME`, such as 10s or 2m",
		Action: func(_ *cli.Context, given time.Duration) error {
			if given <= 0 {
				return usageError("--timeout: %v is no time to wait; hint: give one like 30s", given)
			}
			return nil
		}}
}

// loadKeys reads the key directory as signpostd does.
func loadKeys(c *cli.Context) (*keystore.Snapshot, error) {
	selectors, err := keystore.ParseSelectors(c.String("selector"))
	if err != nil {
		where := "--selector"
		for _, name := range []string{"DKIM_SELECTOR", "SIGNPOST_SELECTOR"} {
			if os.Getenv(name) == c.String("selector") {
				where = name
			}
		}
		return nil, exitError{exitUsage, fmt.Errorf("%s: %w", where, err)}
	}
	snapshot, err := keystore.Load(keystore.Options{Dir: c.String("keys"), Selectors: selectors}, nil)
	if err != nil {
		return nil, exitError{exitUnknown, err}
	}
	return snapshot, nil
}

// keysOption is what another command line needs to find the same keys.
func keysOption(dir string) string {
	if dir == keysFlag().Value || dir == os.Getenv("SIGNPOST_KEYS") {
		return ""
	}
	return " --keys " + dir
}

// domainArgs returns the arguments as domains in A-labels.
func domainArgs(c *cli.Context) ([]string, error) {
	if !c.Args().Present() {
		return nil, usageError("which domain?; hint: signpost %s example.org", c.Command.Name)
	}
	var domains []string
	for _, arg := range c.Args().Slice() {
		domain, err := keystore.Domain(arg)
		if err != nil {
			return nil, usageError("%w; hint: %s", err, domainHint(arg))
		}
		domains = append(domains, domain)
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
