package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/migrate"
	"signpost/milter"
	"signpost/milter/dkim"
)

// importSettings joins the settings of all plans, adds where the keys are, and
// leaves out what signpostd would not start with.
func importSettings(keys *settings.Keys, flag string, plans []*migrate.Plan) ([]importSetting, []finding.Finding) {
	list := []importSetting{}
	if keys.Text != settings.Named("keys").Default {
		text := settings.WithoutPasswords(keys.Text)
		if dir, err := filepath.Abs(text); err == nil && keys.Dir == text {
			text = dir
		}
		list = append(list, importSetting{"SIGNPOST_KEYS", text, flag, "where the keys are now"})
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
		case "SIGNPOST_EXPIRE":
			_, err = time.ParseDuration(s.Value)
		case "SIGNPOST_MIN_KEY_BITS":
			err = atMost(s.Value, keystore.MaxBits)
		case "SIGNPOST_MAX_HEADER_BYTES":
			err = atMost(s.Value, settings.MostHeaderBytes)
		}
		if err != nil {
			findings = append(findings, lostSetting(s, err))
		}
		return err != nil
	})
	// Fields to sign come first: those to oversign must be among them.
	for _, variable := range []string{"SIGNPOST_SIGN_HEADERS", "SIGNPOST_OVERSIGN_HEADERS"} {
		for i, s := range list {
			if s.Variable != variable {
				continue
			}
			var kept []string
			for field := range strings.SplitSeq(s.Value, ",") {
				if err := checkField(variable, field, sign); err != nil {
					findings = append(findings, lostSetting(s, err))
				} else if !slices.ContainsFunc(kept, func(have string) bool { return strings.EqualFold(have, field) }) {
					kept = append(kept, field)
				}
			}
			list[i].Value = strings.Join(kept, ",")
			if variable == "SIGNPOST_SIGN_HEADERS" {
				sign = settings.FieldList(list[i].Value, sign)
			}
		}
	}
	return slices.DeleteFunc(list, func(s importSetting) bool { return s.Value == "" }), findings
}

func atMost(value string, most int) error {
	if n, err := strconv.Atoi(value); err != nil || n > most {
		return fmt.Errorf("%s is more than %d", value, most)
	}
	return nil
}

// checkField says why signpostd would not start with a field in a list.
func checkField(variable, field string, sign []string) error {
	if field == "*" || strings.HasPrefix(field, "-") {
		return nil
	}
	name := strings.TrimPrefix(field, "+")
	p := dkim.Policy{Sign: sign, Oversign: []string{name}}
	if variable == "SIGNPOST_SIGN_HEADERS" {
		p = dkim.Policy{Sign: []string{"From", name}, Oversign: []string{}}
		if strings.EqualFold(name, "From") {
			p.Sign = p.Sign[:1]
		}
	}
	return p.Validate()
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
