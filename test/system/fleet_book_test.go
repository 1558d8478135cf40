package system

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A fleetRow is what became of the messages of one phase.
type fleetRow struct {
	sent, received, twice, deferred, broken, unsigned, bad int
	longest                                                time.Duration // from the first attempt to the sink
}

func (r *fleetRow) add(other fleetRow) {
	r.sent += other.sent
	r.received += other.received
	r.twice += other.twice
	r.deferred += other.deferred
	r.broken += other.broken
	r.unsigned += other.unsigned
	r.bad += other.bad
	r.longest = max(r.longest, other.longest)
}

// balance judges all mail, each message against the DNS as it was when it arrived, and
// prints the table of it. None may be lost, unsigned, or bad, and of domains with keys none
// deferred.
func (f *fleet) balance() {
	f.t.Helper()
	rows := make(map[string]*fleetRow)
	var phases []string
	messages := slices.SortedFunc(maps.Values(f.mail.byID), func(a, b *posting) int { return a.begun.Compare(b.begun) })
	signers := make(map[string]bool)
	for _, p := range messages {
		row := rows[p.phase]
		if row == nil {
			row = new(fleetRow)
			rows[p.phase], phases = row, append(phases, p.phase)
		}
		row.add(f.judgeOne(p, signers))
	}
	var sum fleetRow
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "sent\treceived\ttwice\tdeferred\tbroken off\tunsigned\tbad\tlongest delay\t\t")
	print := func(name string, r fleetRow) {
		fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t\t%s\n", r.sent, r.received, r.twice, r.deferred,
			r.broken, r.unsigned, r.bad, r.longest.Round(time.Millisecond), name)
	}
	for _, phase := range phases {
		print(phase, *rows[phase])
		if rows[phase].deferred > 0 && phase != newDomainPhase {
			f.t.Errorf("%s: %d deferrals of mail of domains that have keys", phase, rows[phase].deferred)
		}
		sum.add(*rows[phase])
	}
	print("all", sum)
	table.Flush()
	f.t.Logf("%d nodes, %d domains, %d keys signed:\n%s", len(f.nodes), len(f.domains), len(signers), text.String())
	if sum.sent != sum.received || sum.unsigned+sum.bad > 0 {
		f.t.Errorf("%d sent, %d received, %d unsigned, %d bad", sum.sent, sum.received, sum.unsigned, sum.bad)
	}
	if unknown := len(f.mail.arrived) - len(f.mail.byID); unknown > 0 {
		f.t.Errorf("%d messages that nobody sent", unknown)
	}
}

// judgeOne judges the deliveries of a message, and notes who signed them.
func (f *fleet) judgeOne(p *posting, signers map[string]bool) fleetRow {
	row := fleetRow{sent: 1, deferred: p.deferred, broken: p.broken}
	for i, d := range f.mail.arrived[p.id] {
		row.received = 1
		row.twice = i
		if i == 0 {
			row.longest = d.Time.Sub(p.begun)
		}
		found := signatures(d.Data)
		err := verifyAt(d.Data, d.Views[0])
		for _, s := range found {
			signers[s.String()] = true
			if s.domain != p.domain {
				err = fmt.Errorf("signed by %s", s.domain)
			}
		}
		switch {
		case len(found) == 0:
			row.unsigned++
		case err != nil:
			row.bad++
			f.t.Errorf("%s of %s in %q: %v\n%s", p.id, p.domain, p.phase, err, start(d.Data))
		}
	}
	return row
}

// sample has other people's verifiers look at some of the mail. The records of keys that
// are archived since are put back for it.
func (f *fleet) sample(n int) {
	f.t.Helper()
	var some []signedMessage
	all := f.sink.All()
	for i := range n {
		message := all[i*len(all)/n].Data
		found := signatures(message)
		for _, s := range found {
			if k, ours := f.keys[s.domain+" "+s.selector]; ours {
				f.world.publishKey(k, s)
			}
		}
		some = append(some, signedMessage{message, found})
	}
	f.mustBeGood(some, f.verifiers())
}
