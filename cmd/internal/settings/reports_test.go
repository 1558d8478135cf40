package settings

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
)

// readReports is not for parallel tests: the cli library keeps what it found of --help in a variable.
func readReports(t *testing.T, args ...string) (reports Reports, err error) {
	t.Helper()
	app := &cli.App{Flags: Flags(ForReports()), Action: func(c *cli.Context) error {
		reports, err = ReadReports(c)
		return nil
	}}
	if runErr := app.Run(append([]string{"signpost"}, args...)); runErr != nil {
		t.Fatal(runErr)
	}
	return reports, err
}

func TestReports(t *testing.T) {
	s, err := readReports(t)
	if err != nil || s.Path != "" || s.Own != nil || s.NotMine != nil || s.Days != 30 ||
		s.Thresholds != (tally.Thresholds{Days: 14, Reporters: 3, Messages: 100}) {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = readReports(t, "--reports", "/var/mail/dmarc", "--own", "192.0.2.0/24, 2001:db8::1",
		"--not-mine", "CRM.example,::ffff:198.51.100.7 bücher.example crm.example 203.0.113.9/24", "--report-days", "0",
		"--min-days", "90", "--min-reporters", "1", "--min-messages", "2", "--max-own-failures", "3")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"crm.example", "198.51.100.7", "xn--bcher-kva.example", "203.0.113.0/24"}; !slices.Equal(s.NotMine, want) {
		t.Errorf("not mine: %q", s.NotMine)
	}
	now := time.Now()
	q := s.Question(now)
	if q.Now != now || q.Days != 0 || len(q.Own) != 2 || q.OwnIs == "" || len(q.Ignore) != 4 ||
		q.Thresholds != (tally.Thresholds{Days: 90, Reporters: 1, Messages: 2, OwnFailures: 3}) {
		t.Errorf("%+v", q)
	}
}

func TestReportsErrors(t *testing.T) {
	for option, want := range map[string]string{
		"--own=mail":            `--own: "mail" is not a network; hint: write it like`,
		"--not-mine=crm":        `--not-mine: "crm" is neither an address, a network nor a domain; hint: write it like`,
		"--report-days=x":       `--report-days: "x" must be a number between 0 and 3650`,
		"--min-days=0":          `--min-days: "0" must be a number between 1 and 3650`,
		"--min-days=31":         "--min-days: 31 days with reports cannot be had of the 30 to look back on; hint: raise",
		"--min-reporters=0":     `--min-reporters: "0" must be`,
		"--min-messages=0":      `--min-messages: "0" must be`,
		"--max-own-failures=-1": `--max-own-failures: "-1" must be`,
	} {
		if _, err := readReports(t, option); err == nil || !strings.HasPrefix(finding.Text(err), want) {
			t.Errorf("%s: %v", option, err)
		}
	}
}
