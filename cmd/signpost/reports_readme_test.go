package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/test/lab/nameserver"
)

// The first README shows what reports prints of 30 days from 7 reporters: 41,203 messages and
// those of a service, and then as many and a few that are forged.
func TestReadmeReports(t *testing.T) { // not parallel: the flags --help and --version of cli are global
	_, section, _ := strings.Cut(readFile(t, filepath.Join("..", "..", "README.md")), "\n## From rua to p=reject\n")
	section, _, _ = strings.Cut(section, "\n## ")
	zone := nameserver.NewZone(t, `_dmarc.example.org. 60 IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.org"`,
		"20.100.51.198.in-addr.arpa. 60 IN PTR mail.crm.example.", "mail.crm.example. 60 IN A 198.51.100.20")
	server := zone.Serve(t)
	const own = "203.0.113.25 %d pass pass s=example.org/s1/pass f=example.org/pass"
	worlds := []string{
		monthOfReports(t, 41203, own, 213, "198.51.100.20 %d fail fail s=crm.example/c1/pass f=crm.example/pass"),
		monthOfReports(t, 41194, own, 9, "198.51.100.%d 1 fail fail f=bad.example/fail"),
	}
	page := filepath.Join(t.TempDir(), "reports.html")
	sessions := 0
	for _, session := range strings.Split(section, "\n$ signpost reports ")[1:] {
		command, shown, _ := strings.Cut(session, "\n")
		shown, _, _ = strings.Cut(shown, "```")
		if shown == "" || sessions == len(worlds) {
			continue // of a command alone
		}
		args := []string{"signpost", "reports", "--resolver", server}
		for _, arg := range strings.Fields(command) {
			switch arg {
			case "/var/mail/dmarc":
				arg = worlds[sessions]
			case "reports.html":
				arg = page
			}
			args = append(args, arg)
		}
		sessions++
		var out, stderr bytes.Buffer
		run(t.Context(), args, &out, &stderr)
		rest := "\n" + out.String()
		for part := range strings.SplitSeq("\n"+shown, "\n…") {
			_, after, found := strings.Cut(rest, part)
			if !found {
				t.Errorf("%s: no\n%s\nin\n%s\n%s", command, part, out.String(), &stderr)
				break
			}
			rest = after
		}
	}
	if _, err := os.Stat(page); err != nil || sessions != len(worlds) {
		t.Errorf("%d sessions, %v", sessions, err)
	}
}

// monthOfReports makes reports with so many messages in all of each row, a format of one number:
// how many there are, or for rows of one message which of them it is.
func monthOfReports(t *testing.T, passed int, own string, failed int, other string) string {
	dir := t.TempDir()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	const days, reporters = 30, 7
	left := passed
	for i := range days * reporters {
		here := min(left, passed/(days*reporters)+1)
		left -= here
		rows := []string{fmt.Sprintf(own, here)}
		switch {
		case strings.Contains(other, " 1 fail") && i < failed:
			rows = append(rows, fmt.Sprintf(other, 100+i))
		case !strings.Contains(other, " 1 fail"):
			rows = append(rows, fmt.Sprintf(other, (failed*(i+1))/(days*reporters)-(failed*i)/(days*reporters)))
		}
		reporter := fmt.Sprintf("r%d.example", i%reporters)
		text := aggregateReport(reporter, "example.org", "none", today.AddDate(0, 0, -1-i/reporters), rows)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.xml", i)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if left != 0 {
		t.Fatalf("%d messages are left", left)
	}
	return dir
}
