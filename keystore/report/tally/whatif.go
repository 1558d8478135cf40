package tally

// whatIf says what would have become of the messages under each policy. It needs judge.
func (v *view) whatIf(reported Policy) []WhatIf {
	published := rule{reported.P, reported.SP, reported.NP, reported.Testing}
	if v.now.published != "" {
		published = v.now.rule
	}
	all := []WhatIf{{Policy: "none"}, {Policy: "quarantine"}, {Policy: "reject"}, {Policy: "as published"}}
	v.each(func(b *batch, c *cell) {
		if c.passed() {
			for i := range all {
				all[i].Delivered += c.count
			}
			return
		}
		f := v.faultOf(b, c).fault
		legitimate := f != ignored && f != relayed && f != nobody
		for i := range all {
			disposition := all[i].Policy
			if disposition == "as published" {
				below := v.below(c.from)
				disposition = published.of(below, false)
				if below && !v.exists[c.from] && published.of(below, true) != disposition {
					all[i].Unclear += c.count
				}
			}
			all[i].add(disposition, c.count, legitimate)
		}
	})
	return all
}

func (w *WhatIf) add(disposition string, n int, legitimate bool) {
	switch disposition {
	case "reject":
		w.Rejected += n
	case "quarantine":
		w.Quarantined += n
	default:
		w.Delivered += n
		return
	}
	if legitimate {
		w.Legitimate += n
	}
}
