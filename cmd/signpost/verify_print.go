package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/milter/verify"
)

func printVerify(c *cli.Context, a verifyAnswer, j *verify.Judgement, named bool) {
	out, s := c.App.Writer, styleOf(c)
	if named {
		fmt.Fprintf(out, "%s:\n", s.bold(a.File))
	}
	for _, note := range a.Notes {
		fmt.Fprintf(out, "note: %s\n", visible(note))
	}
	if len(a.Signatures) == 0 {
		fmt.Fprintf(out, "DKIM: %s: the message has no DKIM signature\n", s.result("none"))
	}
	for _, sig := range a.Signatures {
		fmt.Fprintf(out, "DKIM: %s: %s\n", s.result(sig.Result), visible(sig.words()))
		if sig.Reason != "" {
			fmt.Fprintf(out, "   %s\n", visible(sig.Reason))
		}
		for _, note := range sig.Notes {
			fmt.Fprintf(out, "   %s\n", visible(note))
		}
	}
	if a.SPF.Result == "" {
		fmt.Fprintf(out, "SPF: %s\n", visible(a.SPF.Reason))
	} else {
		fmt.Fprintf(out, "SPF: %s: %s\n", s.result(a.SPF.Result), visible(a.SPF.words()))
		if a.SPF.Reason != "" {
			fmt.Fprintf(out, "   %s\n", visible(a.SPF.Reason))
		}
		for _, from := range j.SPF.From {
			fmt.Fprintf(out, "   %s\n", from)
		}
	}
	fmt.Fprintf(out, "DMARC: %s: %s\n", s.result(a.DMARC.Result), visible(a.DMARC.words()))
	fmt.Fprintf(out, "Authentication-Results: %s\n", strings.ReplaceAll(visible(a.Results), "; ", ";\n\t"))
	fmt.Fprintln(out, s.bold(visible(a.Sentence)))
}

// result colours a result.
func (s style) result(result string) string {
	switch result {
	case "pass":
		return s.green(result)
	case "fail", "permerror", "policy":
		return s.red(result)
	case "temperror":
		return s.paint("35", result)
	}
	return s.paint("33", result)
}

func (s verifySignature) words() string {
	if s.Domain == "" {
		return fmt.Sprintf("the signature at line %d", s.Line)
	}
	text := fmt.Sprintf("%s, selector %s, %s %s", s.Domain, s.Selector, s.Algorithm, s.Canonicalization)
	if s.KeyBits > 0 {
		text += fmt.Sprintf(", %d bits", s.KeyBits)
	}
	if s.Result == "pass" {
		return text + alignedWords(s.Aligned)
	}
	return fmt.Sprintf("%s, at line %d", text, s.Line)
}

func alignedWords(aligned bool) string {
	if aligned {
		return "; aligned with From"
	}
	return "; not aligned with From"
}

func (s verifySPF) words() string {
	text := fmt.Sprintf("%s for %s", s.IP, s.Sender)
	if s.Term != "" {
		text += fmt.Sprintf(", by %s", s.Term)
	} else if s.Record != "" && s.Result == "neutral" {
		text += ", as no term matches"
	}
	if s.Lookups > 0 {
		text += fmt.Sprintf("; %d of 10 lookups", s.Lookups)
	}
	if s.Void > 0 {
		text += fmt.Sprintf(", %d of 2 void", s.Void)
	}
	if s.Result == "none" && s.Reason == "" {
		text += ": there is no SPF record"
	}
	if s.Result == "pass" {
		text += alignedWords(s.Aligned)
	}
	return text
}

func (d verifyDMARC) words() string {
	if d.Policy == "" {
		return d.Reason
	}
	text := fmt.Sprintf("%s=%s at %s", d.Tag, d.Published, d.Name)
	if d.Policy != d.Published {
		text += ", which with t=y means " + d.Policy
	}
	if d.Reason != "" {
		text += "; " + d.Reason
	}
	return text
}

// verifySentence ends the answer.
func verifySentence(j *verify.Judgement) string {
	d := j.DMARC
	switch good, unknown := j.Good(); {
	case good && d.Result == verify.Pass:
		return fmt.Sprintf("This message passes DMARC for %s, because %s.", d.AuthorDomain,
			passes(d)+" aligned"+forwarding(d))
	case good:
		return fmt.Sprintf("This message is authenticated for %s, because %s aligned; %s.", d.AuthorDomain,
			passes(d), withoutPolicy(d))
	case unknown:
		return fmt.Sprintf("It could not be found out whether this message passes DMARC for %s; "+
			"try again later.", d.AuthorDomain)
	case d.Result == verify.Fail && d.Disposition == "none":
		return fmt.Sprintf("This message does not pass DMARC, because %s; %s asks receivers to take no action.",
			d.Reason, d.AuthorDomain)
	case d.Result == verify.Fail:
		return fmt.Sprintf("This message does not pass DMARC, because %s; %s asks receivers to %s it.",
			d.Reason, d.AuthorDomain, d.Disposition)
	case d.Result == verify.PermError:
		return fmt.Sprintf("This message cannot pass DMARC: %s.", d.Reason)
	}
	return fmt.Sprintf("Nothing authenticates this message for %s; %s.", d.AuthorDomain, withoutPolicy(d))
}

// passes names what is authenticated, up to "and is".
func passes(d verify.DMARC) string {
	dkim := "the DKIM signature of " + strings.Join(d.DKIM, " and that of ")
	switch {
	case len(d.DKIM) == 0:
		return "SPF for " + d.SPF + " passes and is"
	case d.SPF != "":
		return dkim + " and SPF for " + d.SPF + " pass and are"
	case len(d.DKIM) > 1:
		return dkim + " verify and are"
	}
	return dkim + " verifies and is"
}

// forwarding warns of what rests on SPF alone.
func forwarding(d verify.DMARC) string {
	if len(d.DKIM) > 0 {
		return ""
	}
	return "; that ends when it is forwarded, for no aligned DKIM signature verifies"
}

func withoutPolicy(d verify.DMARC) string {
	if strings.HasPrefix(d.Reason, "not looked up") {
		return "DMARC was not looked up"
	}
	return "without a DMARC policy it is for each receiver to decide"
}
