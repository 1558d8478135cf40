package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/postfix/setup"
)

// noDirectory says of a key directory that does not exist which part of its path does,
// for the mistake is usually in the first that does not. advice is what else can be done.
func noDirectory(err error, keys *settings.Keys, advice string) error {
	if !errors.Is(err, fs.ErrNotExist) || len(keys.Sources) > 1 {
		return err
	}
	path, absErr := filepath.Abs(keys.Dir)
	if absErr != nil {
		return err
	}
	missing := path
	for parent := filepath.Dir(path); parent != missing; parent = filepath.Dir(parent) {
		if _, statErr := os.Stat(parent); statErr == nil {
			return finding.WithHint(err, "%s exists, and has no %s in it; give another directory with --keys, or %s",
				parent, filepath.Base(missing), advice)
		}
		missing = parent
	}
	return err
}

// refuseMissing refuses to make a key directory that nobody asked to make: a mistyped
// one would get keys that nobody signs with.
func refuseMissing(c *cli.Context, err error, keys *settings.Keys) error {
	if c.Bool("mkdir") {
		return nil // the first key makes it
	}
	return exitError{exitUsage, noDirectory(err, keys, "make this one:\n"+again(c, "--mkdir"))}
}

// again is the command line with a flag more, to be pasted into a shell.
func again(c *cli.Context, flag string) string {
	args, _ := c.App.Metadata[typedArgs].([]string)
	words := slices.Clone(args)
	if at := slices.Index(words, c.Command.Name); at >= 0 {
		words = slices.Insert(words, at+1, flag)
	}
	for i, word := range words {
		words[i] = shellWord(settings.WithoutPasswords(word))
	}
	return strings.Join(words, " ")
}

// shellWord quotes a word of a command line where a shell would not leave it as it is.
func shellWord(word string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`).MatchString(word) {
		return word
	}
	return setup.ShellQuote(word)
}
