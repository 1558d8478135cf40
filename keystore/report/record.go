package report

import (
	"errors"
	"fmt"
	"slices"
)

// Bounds of what is read of one record. What is beyond them is left out with a note.
const (
	maxSignatures = 50
	maxSenders    = 10
	maxReasons    = 10
)

// record reads a record, and adds its row.
func (p *parser) record() error {
	line := p.line
	p.row, p.rowLine, p.evaluated = Row{}, 0, false
	p.signatures, p.senders = p.signatures[:0], p.senders[:0]
	err := p.each(func(name string) error {
		switch name {
		case "row":
			if p.rowLine != 0 {
				p.notes.add(p.line, "more than one row in a record, of which the first is read")
				return nil
			}
			p.rowLine = p.line
			return p.readRow()
		case "identifiers", "identities": // identities in the first drafts
			return p.each(p.identifiers)
		case "auth_results":
			return p.each(p.results)
		}
		return nil
	})
	if err == nil {
		p.addRow(line)
	}
	return err
}

// addRow adds the row of a record that began in a line, unless it makes no sense.
func (p *parser) addRow(line int) {
	switch {
	case p.rowLine == 0:
		p.leaveOut(line, "no row in the record")
		return
	case p.row.Count < 1:
		return // said already
	case p.sourceErr != nil:
		p.leaveOut(p.rowLine, p.sourceErr.Error())
		return
	}
	if !p.evaluated {
		// The raw results cannot stand in: whether they are aligned depends on the public suffix
		// or the tree walk, and on what the reporter made of it. Without the word of the reporter
		// nothing shows that the messages passed, so they are not what a policy can rely on.
		p.notes.add(line, "neither dkim nor spf is evaluated (policy_evaluated): counted as failed")
	}
	p.row.Signatures = p.words.sameSignatures(p.signatures)
	p.row.Senders = p.words.sameSenders(p.senders)
	p.report.Rows = append(p.report.Rows, p.row)
}

// leaveOut notes why a record is left out.
func (p *parser) leaveOut(line int, why string) {
	p.notes.add(line, "a record is left out: %s", why)
	if p.skipped == nil {
		p.skipped = fmt.Errorf("line %d: %s", line, why)
	}
}

// readRow reads the row of a record.
func (p *parser) readRow() error {
	counted := false
	p.sourceErr = errors.New("no source_ip")
	err := p.each(func(name string) error {
		switch name {
		case "source_ip":
			b, err := p.value()
			if err != nil {
				return err
			}
			p.row.Source, p.sourceErr = address(p.words.text(b))
		case "count":
			b, err := p.value()
			if err != nil {
				return err
			}
			counted = true
			p.setCount(string(b))
		case "policy_evaluated":
			return p.each(p.policyEvaluated)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !counted {
		p.setCount("")
	}
	return nil
}

// setCount sets the number of messages. A row without any says nothing, whatever its address.
func (p *parser) setCount(s string) {
	n, err := count(s)
	p.row.Count = n
	switch {
	case n < 0:
		p.leaveOut(p.line, err.Error())
	case err != nil:
		p.notes.add(p.line, "%v", err)
	}
}

func (p *parser) policyEvaluated(name string) error {
	switch name {
	case "disposition":
		return p.disposition(&p.row.Disposition, name)
	case "dkim":
		return p.result(&p.row.DKIM)
	case "spf":
		return p.result(&p.row.SPF)
	case "reason":
		return p.reason()
	}
	return nil
}

// result reads an evaluated result. Whatever is not a pass is a fail: RFC 9990 has no others.
func (p *parser) result(passed *bool) error {
	b, err := p.value()
	if word := p.firstWord(b); word != "" {
		p.evaluated = true
		*passed = word == "pass"
	}
	return err
}

// reason reads why a disposition is not that of the policy. Some write it as a text, without
// a type.
func (p *parser) reason() error {
	var reason Reason
	depth := len(p.open)
	for len(p.open) >= depth {
		kind, err := p.next()
		switch {
		case err != nil:
			return err
		case kind == text && len(p.open) == depth:
			reason.Comment = p.words.text(p.text)
		case kind == start && p.name == "type":
			err = p.into(&reason.Type, p.words.lower)
		case kind == start && p.name == "comment":
			err = p.into(&reason.Comment, p.words.text)
		}
		if err != nil {
			return err
		}
	}
	if reason.Type == "" {
		if reason.Comment == "" {
			return nil
		}
		reason.Type = "other"
		if isReason(reason.Comment) {
			reason.Type, reason.Comment = reason.Comment, ""
		}
	}
	if len(p.row.Reasons) == maxReasons {
		p.notes.add(p.line, "more than %d reasons in a record", maxReasons)
		return nil
	}
	p.row.Reasons = append(p.row.Reasons, reason)
	return nil
}

// isReason reports whether a word is a type of reason, of RFC 9990 or RFC 7489.
func isReason(word string) bool {
	switch word {
	case "forwarded", "sampled_out", "trusted_forwarder", "mailing_list", "local_policy", "policy_test_mode", "other":
		return true
	}
	return false
}

func (p *parser) identifiers(name string) error {
	switch name {
	case "header_from":
		return p.into(&p.row.From, p.words.domain)
	case "envelope_from":
		return p.into(&p.row.EnvelopeFrom, p.words.domain)
	case "envelope_to":
		return p.into(&p.row.EnvelopeTo, p.words.domain)
	}
	return nil
}

// results reads a raw result. One that names no domain says nothing.
func (p *parser) results(name string) error {
	switch name {
	case "dkim":
		domain, selector, result, err := p.rawResult("selector", p.dkimResult)
		if err != nil || domain == "" {
			return err
		}
		p.signatures = addRaw(p, p.signatures, Signature{domain, selector, result}, maxSignatures, "signatures")
	case "spf":
		domain, scope, result, err := p.rawResult("scope", p.spfResult)
		if err != nil || domain == "" {
			return err
		}
		p.senders = addRaw(p, p.senders, Sender{domain, scope, result}, maxSenders, "results of spf")
	}
	return nil
}

// rawResult reads the domain, what else is named, and the result of a raw result.
func (p *parser) rawResult(
	named string, asResult func([]byte) string,
) (domain, detail, result string, err error) {
	err = p.each(func(name string) error {
		switch name {
		case "domain":
			return p.into(&domain, p.words.domain)
		case named:
			return p.into(&detail, p.words.lower)
		case "result":
			return p.into(&result, asResult)
		}
		return nil
	})
	return domain, detail, result, err
}

// addRaw adds a raw result, unless it was given before.
func addRaw[T comparable](p *parser, list []T, result T, most int, what string) []T {
	switch {
	case slices.Contains(list, result):
	case len(list) == most:
		p.notes.add(p.line, "more than %d %s in a record", most, what)
	default:
		list = append(list, result)
	}
	return list
}

// dkimResult reads a result of DKIM (RFC 8601, section 2.7.1).
func (p *parser) dkimResult(b []byte) string {
	if word := p.firstWord(b); word != "hardfail" {
		return word
	}
	return "fail"
}

// spfResult reads a result of SPF (RFC 8601, section 2.7.2), which had other names: RFC 7489,
// appendix C, tells of unknown and error, and hardfail is in use.
func (p *parser) spfResult(b []byte) string {
	switch word := p.firstWord(b); word {
	case "hardfail":
		return "fail"
	case "unknown":
		return "temperror"
	case "error":
		return "permerror"
	default:
		return word
	}
}
