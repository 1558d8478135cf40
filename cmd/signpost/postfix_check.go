package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/milter/dkim"
	"signpost/postfix"
	"signpost/postfix/lint"
	"signpost/postfix/setup"
)

// postfixReport is the answer of check, for machines.
type postfixReport struct {
	Config       string            `json:"config"`
	Version      string            `json:"version,omitempty"`
	SMTPMilters  []string          `json:"smtpd_milters"`
	LocalMilters []string          `json:"non_smtpd_milters"`
	Findings     []finding.Finding `json:"findings"`
}

func checkPostfix(c *cli.Context) error {
	config, err := postfixConfig(c)
	if err != nil {
		return err
	}
	if address := c.String("milter"); address != "" {
		if _, err := setup.MilterParameters(address); err != nil {
			return usageError("--milter: %w", err)
		}
	}
	signed := dkim.DefaultSign()
	if list := settings.Named("sign-headers").Value(c).Text; list != "" {
		signed = settings.FieldList(list, signed)
	}
	also, err := settings.Parse(c, "also-sign", settings.ParseAlso)
	if err != nil {
		return exitError{exitUsage, err}
	}
	instead := also.Domain
	if also.WithoutKey {
		also.Domain = "" // then it is never the second
	}
	hasKey, err := bounceKeys(c, config)
	if err != nil {
		return err
	}
	subdomains, err := settings.Parse(c, "subdomains", settings.ParseSwitch)
	if err != nil {
		return exitError{exitUsage, err}
	}
	found := lint.Check(config, lint.Signer{
		Address: c.String("milter"), Fields: signed, Also: also.Domain, Instead: instead,
		HasKey: hasKey, Subdomains: subdomains,
	})
	report := postfixReport{
		Config: config.Path, Version: config.Version(),
		SMTPMilters:  nonNil(config.Milters(postfix.Service{Command: "smtpd"})),
		LocalMilters: nonNil(config.Milters(postfix.Service{Command: "pickup"})),
		Findings:     append([]finding.Finding{}, found...),
	}
	if c.Bool("json") {
		err = printJSON(c, report)
	} else {
		printFindings(c, report.Findings)
		_, err = fmt.Fprintf(c.App.Writer, "%s: %s; mail by SMTP meets %s%s, mail by sendmail meets %s\n",
			config.Path, countLevels(report.Findings), orNoMilter(report.SMTPMilters), elsewhere(config),
			orNoMilter(report.LocalMilters))
	}
	return errors.Join(err, verdictOf(levelsOf(report.Findings)))
}

// postfixConfig reads what is to be checked.
func postfixConfig(c *cli.Context) (*postfix.Config, error) {
	name := c.Args().First()
	if c.NArg() > 1 {
		return nil, usageError("one configuration at a time, not also %q", c.Args().Get(1))
	}
	config, err := readPostfix(c, name)
	if err != nil {
		return nil, err
	}
	if master := c.String("master"); master != "" {
		data, err := os.ReadFile(master)
		if err != nil {
			return nil, usageError("--master: %w", err)
		}
		if err := config.AddMaster(master, data); err != nil {
			return nil, err
		}
	}
	return config, nil
}

func readPostfix(c *cli.Context, name string) (*postfix.Config, error) {
	if name == "-" {
		data, err := io.ReadAll(c.App.Reader)
		if err == nil && strings.TrimSpace(string(data)) == "" {
			err = exitError{exitUnknown, finding.WithHint(errors.New("standard input is empty"),
				"postconf -n | signpost postfix check -")}
		}
		if err != nil {
			return nil, err
		}
		return postfix.ParseConfig("standard input", data)
	}
	named := name != ""
	if !named {
		name = c.String("config-dir")
	}
	config, err := postfix.ReadConfig(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named && !c.IsSet("config-dir") &&
		name == settings.Named("config-dir").Default:
		return nil, exitError{exitUnknown, finding.WithHint(err,
			"name a directory or a file, or pipe postconf -n into signpost postfix check -")}
	case errors.Is(err, fs.ErrNotExist):
		return nil, exitError{exitUsage, err}
	case errors.Is(err, fs.ErrPermission):
		return nil, exitError{exitUnknown, finding.WithHint(err, "run this as root")}
	case err != nil:
		return nil, err
	}
	// A single file may be from another machine, with another Postfix.
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		if _, err := config.AskPostconf(c.Context); err != nil {
			warn(c, "%w, so its version and defaults are not known", err)
		}
	}
	return config, nil
}

// elsewhere says which other milters mail meets at services that have their own.
func elsewhere(config *postfix.Config) (text string) {
	usual := config.Milters(postfix.Service{Command: "smtpd"})
	for _, s := range config.Commands("smtpd") {
		if milters := config.Milters(s); !slices.Equal(milters, usual) {
			text += fmt.Sprintf(", by %s %s", s, orNoMilter(milters))
		}
	}
	return text
}

func nonNil(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func orNoMilter(milters []string) string {
	if len(milters) == 0 {
		return "no milter"
	}
	return strings.Join(milters, " and ")
}

// countLevels says how many findings of each level there are.
func countLevels(findings []finding.Finding) string {
	count := make(map[finding.Level]int)
	for _, f := range findings {
		count[f.Level]++
	}
	var parts []string
	for _, level := range []finding.Level{finding.Fault, finding.Unknown, finding.Warning, finding.Note} {
		switch n := count[level]; {
		case n == 1:
			parts = append(parts, "1 "+string(level))
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", n, level))
		}
	}
	if parts == nil {
		return "nothing to find fault with"
	}
	return strings.Join(parts, ", ")
}
