package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/milter"
	"signpost/milter/dkim"
)

// importSettings joins the settings of all plans, adds where the keys are, and
// leaves out what signpostd would not start with.
func importSettings(c *cli.Context, plans []*migrate.Plan) ([]importSetting, []finding.Finding) {
	list := []importSetting{}
	if c.String("keys") != settings.Named("keys").Default {
		dir, err := filepath.Abs(c.String("keys"))
		if err != nil {
			dir = c.String("keys")
		}
		list = append(list, importSetting{"SIGNPOST_KEYS", dir, "--keys", "where the keys are now"})
	}
	for _, plan := range plans {
		for _, s := range plan.Settings {
			i := slices.IndexFunc(list, func(have importSetting) bool { return have.Variable == s.Variable })
			switch {
			case i < 0:
				list = append(list, importSetting(s))
			case s.Variable == "ALLOWED_SENDER_DOMAINS":
				list[i].Value = joined(list[i].Value, s.Value)
			case list[i].Value != s.Value:
				// Both are shown: which is meant, only the reader knows.
				list = append(list, importSetting(s))
			}
		}
	}
	var findings []finding.Finding
	sign := dkim.DefaultSign()
	list = slices.DeleteFunc(list, func(s importSetting) bool {
		var err error
		switch s.Variable {
		case "SIGNPOST_CANONICALIZATION":
			_, _, err = dkim.ParseCanonicalization(s.Value)
		case "SIGNPOST_LISTEN":
			_, err = milter.ParseAddresses(s.Value)
		}
		if err != nil {
			findings = append(findings, lostSetting(s, err))
		}
		return err != nil
	})
	// Fields to sign come first: those to oversign must be among them.
	for _, variable := range []string{"SIGNPOST_SIGN_HEADERS", "SIGNPOST_OVERSIGN_HEADERS"} {
		for i, s := range list {
			fields := strings.Split(s.Value, ",")
			if s.Variable != variable || slices.Contains(fields, "*") {
				continue
			}
			var kept []string
			for _, field := range fields {
				p := dkim.Policy{Sign: []string{"From", field}, Oversign: []string{}}
				if strings.EqualFold(field, "From") {
					p.Sign = p.Sign[:1]
				}
				if variable == "SIGNPOST_OVERSIGN_HEADERS" {
					p.Sign, p.Oversign = sign, []string{field}
				}
				if err := p.Validate(); err != nil {
					findings = append(findings, lostSetting(s, err))
				} else if !slices.ContainsFunc(kept, func(have string) bool { return strings.EqualFold(have, field) }) {
					kept = append(kept, field)
				}
			}
			if variable == "SIGNPOST_SIGN_HEADERS" {
				sign = kept
			}
			list[i].Value = strings.Join(kept, ",")
		}
	}
	return slices.DeleteFunc(list, func(s importSetting) bool { return s.Value == "" }), findings
}

// joined adds to a list of words those that it has not.
func joined(list, more string) string {
	words := strings.Fields(list)
	known := make(map[string]bool)
	for _, word := range words {
		known[word] = true
	}
	for word := range strings.FieldsSeq(more) {
		if !known[word] {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

func lostSetting(s importSetting, err error) finding.Finding {
	why, _ := finding.Split(err)
	return finding.Finding{
		Level: finding.Warning, Code: "import-setting", Name: s.From,
		What: fmt.Sprintf("not carried over to %s: %s", s.Variable, why), Effect: "signpostd does not start with that",
	}
}
