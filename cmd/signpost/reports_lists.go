package main

import (
	"cmp"
	"fmt"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
)

func (p *reportsPrinter) sources(d *reportsDomain) {
	shown := d.Sources
	if most := p.c.Int("sources"); most > 0 && !p.all {
		shown = shown[:min(len(shown), most)]
	}
	p.heading("where they came from")
	for _, s := range shown {
		from := s.Address.String()
		if s.Name != "" {
			from += " (" + visible(s.Name) + ")"
		}
		failed := fmt.Sprintf("%s failed", finding.Number(s.Failed))
		if s.Failed > 0 && !s.Ignored {
			failed = p.s.red(failed)
		}
		fmt.Fprintf(p.out, "   %-9s %s: %s passed, %s\n", s.Kind, from, finding.Number(s.Passed), failed)
		why := s.Why
		if s.Ignored {
			why += "; not yours, as you said"
		}
		p.say("             ", why)
	}
	rest := d.Sources[len(shown):]
	if len(rest) == 0 {
		return
	}
	var sum tally.Count
	for _, s := range rest {
		sum.Passed += s.Passed
		sum.Failed += s.Failed
	}
	fmt.Fprintf(p.out, "   and %s: %s passed, %s failed (--sources 0 shows them)\n", counted(len(rest), "more source"),
		finding.Number(sum.Passed), finding.Number(sum.Failed))
}

func (p *reportsPrinter) subdomains(d *reportsDomain) {
	if len(d.Subdomains) == 0 {
		return
	}
	p.heading("subdomains in From")
	shown := p.first(len(d.Subdomains))
	for _, sub := range d.Subdomains[:shown] {
		fmt.Fprintf(p.out, "   %s: %s passed, %s failed\n",
			visible(sub.Name), finding.Number(sub.Passed), finding.Number(sub.Failed))
	}
	p.more(len(d.Subdomains) - shown)
}

func (p *reportsPrinter) overrides(d *reportsDomain) {
	if len(d.Overrides) == 0 {
		return
	}
	p.heading("why receivers did otherwise than the policy says")
	shown := p.first(len(d.Overrides))
	for _, o := range d.Overrides[:shown] {
		comment := ""
		if o.Comment != "" {
			comment = ": " + visible(o.Comment)
		}
		fmt.Fprintf(p.out, "   %s, %s%s\n", visible(o.Type), counted(o.Messages, "message"), comment)
	}
	p.more(len(d.Overrides) - shown)
}

func (p *reportsPrinter) selectors(d *reportsDomain) {
	if len(d.Selectors) == 0 && len(d.Unseen) == 0 {
		return
	}
	p.heading("keys that signed")
	shown := p.first(len(d.Selectors))
	for _, k := range d.Selectors[:shown] {
		about := []string{counted(k.Passed, "message")}
		if k.Failed > 0 {
			about = append(about, finding.Number(k.Failed)+" failed")
		}
		if !k.Last.IsZero() {
			about = append(about, "last on "+day(k.Last)+" by "+visible(k.Reporter))
		}
		name := p.s.bold(selectorName(k.Selector))
		if k.Domain != d.Domain {
			name += " of " + visible(k.Domain)
		}
		if k.Stage != "" {
			about = append([]string{visible(k.Stage)}, about...)
		}
		fmt.Fprintf(p.out, "   %s: %s\n", name, strings.Join(about, ", "))
		p.say("      ", k.What)
	}
	p.more(len(d.Selectors) - shown)
	for _, selector := range d.Unseen {
		fmt.Fprintf(p.out, "   %s: signs, and no report names it\n", p.s.bold(visible(selector)))
	}
	if !d.KeysKnown {
		p.say("   ", "which of them are yours is not known: no key of the domain is at hand; --keys says where they are")
	}
}

func (p *reportsPrinter) broken(d *reportsDomain) {
	if len(d.Broken) == 0 {
		return
	}
	p.heading("signatures of yours that failed")
	shown := p.first(len(d.Broken))
	for _, b := range d.Broken[:shown] {
		p.say("   ", fmt.Sprintf("%s: %s of %s, key %s: %s", day(b.Day), counted(b.Messages, "message"), b.Source,
			cmp.Or(b.Selector, "not named"), b.What))
		p.say("      hint: ", b.Hint)
	}
	p.more(len(d.Broken) - shown)
}
