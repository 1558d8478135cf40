package settings

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
	"signpost/milter"
)

// ForReports returns the settings of DMARC aggregate reports, which decide what both
// programs say of them.
func ForReports() []Setting {
	return []Setting{
		{Name: "reports", Variables: []string{"SIGNPOST_REPORTS"},
			Usage: "`PATH` of DMARC aggregate reports as they came: a file, a mailbox, or a directory of those"},
		{Name: "own", Variables: []string{"SIGNPOST_OWN"},
			Usage: "`ADDRESSES` and networks, separated by commas, that your own hosts send from, as the Internet sees them"},
		{Name: "not-mine", Variables: []string{"SIGNPOST_NOT_MINE"},
			Usage: "`SENDERS`, separated by commas, that do not send for you: addresses, networks, " +
				"and domains that they authenticate as"},
		{Name: "report-days", Variables: []string{"SIGNPOST_REPORT_DAYS"}, Default: "30",
			Usage: "look back on reports of this `NUMBER` of days; 0 for all"},
		{Name: "min-days", Variables: []string{"SIGNPOST_MIN_DAYS"}, Default: "14",
			Usage: "fewest days with reports for a stricter policy to be called safe, a `NUMBER`"},
		{Name: "min-reporters", Variables: []string{"SIGNPOST_MIN_REPORTERS"}, Default: "3",
			Usage: "fewest receivers that reported for that, a `NUMBER`"},
		{Name: "min-messages", Variables: []string{"SIGNPOST_MIN_MESSAGES"}, Default: "100",
			Usage: "fewest messages that they reported for that, a `NUMBER`"},
		{Name: "max-own-failures", Variables: []string{"SIGNPOST_MAX_OWN_FAILURES"}, Default: "0",
			Usage: "most messages of your own hosts and services that may have failed for that, a `NUMBER`"},
	}
}

// Reports is where the reports are, and what their answers depend on.
type Reports struct {
	Path       string // empty for none
	Own        []netip.Prefix
	NotMine    []string // addresses, and domains as A-labels
	Days       int      // to look back; 0 for all
	Thresholds tally.Thresholds
}

// ReadReports reads the settings of ForReports. The command need not have the flags.
func ReadReports(c *cli.Context) (Reports, error) {
	r := &reader{c: c}
	reports := r.reports()
	return reports, r.err
}

func (r *reader) reports() Reports {
	const most = 1 << 30
	s := Reports{
		Path:    r.value("reports").Text,
		Own:     parsed(r, "own", milter.ParseNetworks),
		NotMine: parsed(r, "not-mine", ParseSenders),
		Days:    r.number("report-days", 0, 3650),
		Thresholds: tally.Thresholds{
			Days:        r.number("min-days", 1, 3650),
			Reporters:   r.number("min-reporters", 1, most),
			Messages:    r.number("min-messages", 1, most),
			OwnFailures: r.number("max-own-failures", 0, most),
		},
	}
	if s.Days > 0 && s.Thresholds.Days > s.Days {
		r.fail(finding.WithHint(r.value("min-days").Errorf("%d days with reports cannot be had of the %d to look back on",
			s.Thresholds.Days, s.Days), "raise --report-days, or lower --min-days"))
	}
	return s
}

// Question returns the settings as a question for a tally, without the names of addresses
// and the keys.
func (s Reports) Question(now time.Time) tally.Question {
	q := tally.Question{Now: now, Days: s.Days, Own: s.Own, Ignore: s.NotMine, Thresholds: s.Thresholds}
	if len(s.Own) > 0 {
		q.OwnIs = "given"
	}
	return q
}

// ParseSenders reads addresses, networks and domains, separated by commas or white space.
func ParseSenders(text string) (senders []string, err error) {
	for _, word := range milter.Words(text) {
		sender := ""
		if addr, addrErr := netip.ParseAddr(word); addrErr == nil {
			sender = addr.Unmap().WithZone("").String()
		} else if network, networkErr := netip.ParsePrefix(word); networkErr == nil {
			sender = network.Masked().String()
		} else if sender, err = keystore.Domain(word); err != nil {
			return nil, finding.WithHint(fmt.Errorf("%q is neither an address, a network nor a domain", word),
				"write it like 192.0.2.1 or crm.example")
		}
		if !slices.Contains(senders, sender) {
			senders = append(senders, sender)
		}
	}
	return senders, nil
}
