package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/postfix/delivery"
)

// explainJSON is the machine's form.
type explainJSON struct {
	Messages []explained `json:"messages"`
}

// explained is the answer for one message.
type explained struct {
	File       string               `json:"file"`
	Signed     bool                 `json:"signed"`
	TempFail   bool                 `json:"tempfail"`
	Rejected   bool                 `json:"rejected"`
	Reason     string               `json:"reason"`
	Why        string               `json:"why"`
	Setting    *explainedSetting    `json:"setting"` // null where none decides
	Hint       string               `json:"hint,omitempty"`
	Author     string               `json:"author_domain"`
	Signatures []explainedSignature `json:"signatures"`
	Keys       []explainedKey       `json:"keys"` // of the signing domain, where it has several
	Log        string               `json:"log"`
	Postfix    string               `json:"postfix"` // the configuration that the findings go by
	Findings   []finding.Finding    `json:"findings"`
}

// explainedSetting is the setting that decides.
type explainedSetting struct {
	Flag      string   `json:"flag"`
	Variables []string `json:"variables"`
	Value     string   `json:"value"`
	From      string   `json:"from"` // the flag or the variable, or "default"
}

// explainedSignature is a signature that would be added.
type explainedSignature struct {
	Domain           string   `json:"domain"`
	Selector         string   `json:"selector"`
	Algorithm        string   `json:"algorithm"`
	Bits             int      `json:"bits"`
	File             string   `json:"file"`
	Canonicalization string   `json:"canonicalization"`
	SignedFields     []string `json:"signed_fields"`
	OversignedFields []string `json:"oversigned_fields"`
	Field            string   `json:"field"` // as it would stand in the message

	names []string // all of h=
}

// newExplainedSignature reads what a signature covers from the signature itself.
func newExplainedSignature(key *keystore.Key, value string, header []delivery.Field) explainedSignature {
	s := explainedSignature{
		Domain: key.Domain, Selector: key.Selector, Algorithm: string(key.Algorithm) + "-sha256",
		Bits: key.Bits, File: key.File,
		SignedFields: []string{}, OversignedFields: []string{},
		Field: "DKIM-Signature:" + strings.ReplaceAll(value, "\r\n", "\n"),
	}
	for spec := range strings.SplitSeq(value, ";") {
		name, text, _ := strings.Cut(strings.TrimSpace(spec), "=")
		text = strings.Join(strings.Fields(text), "")
		switch name {
		case "c":
			s.Canonicalization = text
		case "h":
			s.names = strings.Split(text, ":")
		}
	}
	left := make(map[string]int)
	shown := make(map[string]string)
	for _, f := range header {
		name := strings.TrimRight(f.Name, " \t")
		left[strings.ToLower(name)]++
		shown[strings.ToLower(name)] = name
	}
	for _, name := range s.names {
		if left[name] > 0 {
			left[name]--
			s.SignedFields = append(s.SignedFields, shown[name])
			continue
		}
		s.OversignedFields = append(s.OversignedFields, name)
	}
	s.SignedFields = slices.CompactFunc(s.SignedFields, strings.EqualFold)
	return s
}

// print writes the answer for a reader.
func (a explained) print(c *cli.Context) {
	s, w := styleOf(c), c.App.Writer
	switch {
	case a.Signed:
		fmt.Fprintf(w, "%s: %s\n", a.File, s.green("signed"))
	case a.TempFail:
		fmt.Fprintf(w, "%s: %s, deferred: %s\n", a.File, s.red("not signed"), a.Reason)
	case a.Rejected:
		fmt.Fprintf(w, "%s: %s, refused: %s\n", a.File, s.red("not signed"), a.Reason)
	default:
		fmt.Fprintf(w, "%s: %s: %s\n", a.File, s.red("not signed"), a.Reason)
	}
	line := func(label, text string) { printWrapped(w, label, text) }
	line("because", a.Why)
	if a.Setting != nil {
		value := a.Setting.Value
		if value == "" {
			value = "(empty)"
		}
		line("setting", fmt.Sprintf("%s [$%s] is %s (%s)", a.Setting.Flag, strings.Join(a.Setting.Variables, ", $"),
			strings.ReplaceAll(value, ",", ", "), a.Setting.From))
	}
	if a.Hint != "" {
		line("hint:", a.Hint)
	}
	for _, sig := range a.Signatures {
		line("with", fmt.Sprintf("d=%s s=%s, %s, %d bits, %s, key %s", sig.Domain, sig.Selector, sig.Algorithm,
			sig.Bits, sig.Canonicalization, sig.File))
	}
	if len(a.Keys) > 0 {
		line("keys", chosen{keys: a.Keys}.words())
	}
	if len(a.Signatures) > 0 {
		// All keys sign the same fields.
		line("signs", strings.Join(a.Signatures[0].SignedFields, ", "))
		line("oversigns", orNone(strings.Join(a.Signatures[0].OversignedFields, ", ")))
	}
	line("log", a.Log)
	line("postfix", a.Postfix)
	if c.Bool("show-signature") {
		for _, sig := range a.Signatures {
			fmt.Fprintln(w, sig.Field)
		}
	}
	printFindings(c, a.Findings)
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// printWrapped writes a labelled text, in lines of 90 with the text in a column.
func printWrapped(w io.Writer, label, text string) {
	const indent, width = 14, 90
	column := indent
	fmt.Fprintf(w, "   %-*s", indent-3, label)
	for i, word := range strings.Fields(text) {
		switch {
		case i > 0 && column+1+len(word) > width:
			fmt.Fprintf(w, "\n%*s", indent, "")
			column = indent
		case i > 0:
			fmt.Fprint(w, " ")
			column++
		}
		fmt.Fprint(w, word)
		column += len(word)
	}
	fmt.Fprintln(w)
}
