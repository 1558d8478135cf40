package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/miekg/dns"

	"signpost/keystore/report/tally"
)

// places are where mail for receiver.test comes from, each in a network of its own, and where it
// goes to. None is in 127.0.0.0/8, for rspamd reports on nothing that comes from there.
type places struct{ own, forger, crm, list, friend, receiver string }

func (w *world) newPlaces() places {
	w.t.Helper()
	var all [6]string
	for i := range all {
		all[i] = strings.Replace(w.net, "127.1", fmt.Sprintf("10.%d", 201+i), 1) + ".1"
		w.addAddress(all[i])
	}
	return places{all[0], all[1], all[2], all[3], all[4], all[5]}
}

// TestReportsOfRspamd reads reports that another program makes: mail that signpostd signed, and
// mail that others sent in the name of its domain, is judged and reported on by rspamd. What
// `signpost reports` says of it must be what was sent.
func TestReportsOfRspamd(t *testing.T) {
	t.Parallel()
	w, _ := newSigningWorld(t)
	s := w.newPlaces()
	service := newKey(t, "rsa")
	w.publishKey(service, rsaSignature("crm.example", "c1"))
	w.dns.Publish(t, ".", strings.NewReplacer("OWN", s.own, "CRM", s.crm, "LIST", s.list, "RECEIVER", s.receiver).Replace(`
example.org. TXT "v=spf1 ip4:OWN -all"
mail.example.org. A OWN
_dmarc.example.org. TXT "v=DMARC1; p=none; rua=mailto:dmarc@reports.test"
example.org._report._dmarc.reports.test. TXT "v=DMARC1"
crm.example. TXT "v=spf1 ip4:CRM -all"
lists.test. TXT "v=spf1 ip4:LIST -all"
receiver.test. MX 10 mx.receiver.test.
mx.receiver.test. A RECEIVER
`))
	reverse, err := dns.ReverseAddr(s.own)
	if err != nil {
		t.Fatal(err)
	}
	w.dns.Publish(t, reverse, "@ PTR mail.example.org.\n")
	w.startDaemon()
	r := w.startReporter(s.receiver)
	p := w.startPostfix(w.milterAddr(), "smtp_bind_address = "+s.own)

	const from = "a@example.org"
	sent := map[string]tally.Source{
		s.own:    {Kind: tally.Own, Name: "mail.example.org", Count: tally.Count{Passed: 12}, DKIM: 12, SPF: 12},
		s.friend: {Kind: tally.Forwarder, Count: tally.Count{Passed: 2}, DKIM: 2},
		s.list:   {Kind: tally.Modifier, Count: tally.Count{Failed: 3}},
		s.crm:    {Kind: tally.Service, Count: tally.Count{Failed: 10}, As: []string{"crm.example"}},
		s.forger: {Kind: tally.Unknown, Count: tally.Count{Failed: 5}},
	}
	for i := range sent[s.own].Passed {
		p.mustSubmit(from, "reader@receiver.test", letter(from, fmt.Sprintf("own-%d", i)))
	}
	for i := range sent[s.own].Passed {
		w.awaitDelivery(fmt.Sprintf("own-%d", i))
	}
	signed := w.awaitDelivery("own-0")
	changed := append(bytes.Replace(signed, []byte("Subject: "), []byte("Subject: [list] "), 1), "-- \r\nA list\r\n"...)
	var serviced bytes.Buffer
	err = dkim.Sign(&serviced, bytes.NewReader(letter(from, "serviced")),
		&dkim.SignOptions{Domain: "crm.example", Selector: "c1", Signer: service.private})
	if err != nil {
		t.Fatal(err)
	}
	r.mustTake(sent[s.friend].Passed, s.friend, from, signed)
	r.mustTake(sent[s.list].Failed, s.list, "list-bounces@lists.test", changed)
	r.mustTake(sent[s.crm].Failed, s.crm, "bounce@crm.example", serviced.Bytes())
	r.mustTake(sent[s.forger].Failed, s.forger, from, letter(from, "forged"))

	maildir := w.deliverReports(r)
	w.mustTell(sent, maildir)
	w.mustJudge(s, maildir)
}

// deliverReports puts the reporter's reports into a maildir, as a delivery agent would.
func (w *world) deliverReports(r *reporter) (maildir string) {
	w.t.Helper()
	maildir = filepath.Join(w.dir, "maildir")
	for _, folder := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(maildir, folder), 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	reports := r.report()
	if len(reports) != 1 {
		w.t.Errorf("%d reports, want one", len(reports))
	}
	for i, d := range reports {
		if d.From != "dmarc@receiver.test" || !slices.Equal(d.To, []string{"dmarc@reports.test"}) {
			w.t.Errorf("a report from %s to %s", d.From, d.To)
		}
		w.write(fmt.Sprintf("maildir/new/%d.mx", i), "Return-Path: <"+d.From+">\r\n"+string(d.Data))
	}
	return maildir
}

// mustTell asserts that `signpost reports` tells of what was sent and of nothing else.
func (w *world) mustTell(sent map[string]tally.Source, maildir string) {
	w.t.Helper()
	_, answer := w.reports(maildir)
	if answer.Reports != 1 || !slices.Equal(answer.Reporters, []string{"Receiver & Sons"}) || answer.Covered != 1 {
		w.t.Errorf("%d reports of %q on %d days, want one", answer.Reports, answer.Reporters, answer.Covered)
	}
	var all tally.Count
	for _, want := range sent {
		all.Passed += want.Passed
		all.Failed += want.Failed
	}
	if answer.Messages != all {
		w.t.Errorf("messages: %+v, want %+v", answer.Messages, all)
	}
	if len(answer.Sources) != len(sent) {
		w.t.Errorf("%d sources, want %d", len(answer.Sources), len(sent))
	}
	for _, got := range answer.Sources {
		want, known := sent[got.Address.String()]
		if !known || got.Kind != want.Kind || got.Name != want.Name || got.Count != want.Count ||
			got.DKIM != want.DKIM || got.SPF != want.SPF || !slices.Equal(got.As, want.As) {
			w.t.Errorf("source %+v, want %+v", got, want)
		}
	}
	// rspamd names no selectors, so it is not known whether the key was seen.
	if len(answer.Unseen) > 0 {
		w.t.Errorf("keys that are never seen: %q", answer.Unseen)
	}
}

// mustJudge asserts the verdicts: one report is too little, the service is in the way, and
// without both p=quarantine is safe.
func (w *world) mustJudge(s places, maildir string) {
	w.t.Helper()
	few := []string{"--min-days=1", "--min-reporters=1", "--min-messages=14", maildir}
	for _, test := range []struct {
		args []string
		code int
		safe tally.Safety
		text string
	}{
		{[]string{"--not-mine=crm.example", maildir}, 3, tally.CannotSay,
			"cannot say whether p=quarantine is safe for example.org: only 1 day with messages that passed (14 are asked for)"},
		{few, 1, tally.NotYet, "not yet: 10 messages of " + s.crm + " are signed with d=crm.example, unaligned, " +
			"as only Receiver & Sons says: set up DKIM for example.org there"},
		{append([]string{"--not-mine=crm.example"}, few...), 0, tally.Safe,
			"p=quarantine is safe for example.org: 32 messages of 1 day from 1 reporter, 18 failed, none from your hosts"},
	} {
		code, answer := w.reports(test.args...)
		got := answer.Verdict
		if code != test.code || got.Safe != test.safe || !strings.HasPrefix(got.Text, test.text) {
			w.t.Errorf("%q: exit code %d, %s, %q\nwant %d, %s, %q", test.args, code, got.Safe, got.Text,
				test.code, test.safe, test.text)
		}
		if want := "v=DMARC1; p=quarantine; rua=mailto:dmarc@reports.test"; got.Record != want {
			w.t.Errorf("next record %q, want %q", got.Record, want)
		}
	}
}

// reports runs `signpost reports`, and returns its exit code and what it says of example.org.
func (w *world) reports(args ...string) (code int, answer tally.Answer) {
	w.t.Helper()
	cmd := w.companion(append([]string{"reports", "--json", "--keys", w.keys}, args...)...)
	out, err := cmd.Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	var said struct{ Domains []tally.Answer }
	if err := json.Unmarshal(out, &said); err != nil || len(said.Domains) != 1 || said.Domains[0].Domain != "example.org" {
		w.t.Fatalf("signpost reports said %q: %v\n%s", out, err, stderrOf(err))
	}
	return cmd.ProcessState.ExitCode(), said.Domains[0]
}
