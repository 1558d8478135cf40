package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/report/tally"
	"signpost/milter/reports"
	"signpost/test/lab/nameserver"
)

// folder is a directory of reports that is watched by hand.
type folder struct {
	*testing.T
	*Watch
	dir string
	now time.Time
	log bytes.Buffer
}

func newFolder(t *testing.T, change func(*Config)) *folder {
	f := &folder{T: t, dir: t.TempDir(), now: time.Now()}
	c := Config{Path: f.dir, Days: 30, Limits: reports.DefaultLimits(),
		Known: func(domain string) bool { return domain != "stranger.example" },
		Question: func(now time.Time) tally.Question {
			return tally.Question{Now: now, Days: 30, Own: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
		},
		Keys: func(string) []tally.Key { return nil },
		Log:  slog.New(slog.NewTextHandler(&f.log, nil)),
	}
	if change != nil {
		change(&c)
	}
	f.Watch = New(c)
	return f
}

// report puts in a report of yesterday, which came an hour ago.
func (f *folder) report(name, domain, reporter string, messages int) {
	f.Helper()
	f.write(name, reportOf(f.now.AddDate(0, 0, -1), domain, reporter, name, messages))
}

func (f *folder) write(name, text string) {
	f.Helper()
	path := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		f.Fatal(err)
	}
	f.touch(name, time.Hour)
}

func (f *folder) touch(name string, ago time.Duration) {
	f.Helper()
	if err := os.Chtimes(filepath.Join(f.dir, name), time.Time{}, f.now.Add(-ago)); err != nil {
		f.Fatal(err)
	}
}

// once does what Run does again and again.
func (f *folder) once() State {
	f.now = f.now.Add(time.Minute)
	f.round(f.Context(), f.now)
	return f.State()
}

func (f *folder) want(files, found, unreadable int) {
	f.Helper()
	if s := f.once(); s.Files != files || s.Reports != found || s.Unreadable != unreadable || s.Err != nil || !s.Read.Equal(f.now) {
		f.Errorf("%+v, want %d files, %d reports, %d unreadable", s, files, found, unreadable)
	}
}

// messages returns how many messages are reported of a domain, -1 where nothing is.
func (f *folder) messages(domain string) int {
	if s := f.Of(domain); s != nil {
		return s.Messages.Total()
	}
	return -1
}

func (f *folder) count(domain string, want int) {
	f.Helper()
	if got := f.messages(domain); got != want {
		f.Errorf("%s: %d messages, want %d", domain, got, want)
	}
}

func reportOf(day time.Time, domain, reporter, id string, messages int) string {
	begin := day.UTC().Truncate(24 * time.Hour)
	return fmt.Sprintf(`<feedback><report_metadata><org_name>%s</org_name><email>dmarc@%[1]s</email><report_id>%[2]s</report_id>
<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>
<policy_published><domain>%s</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.10</source_ip><count>%d</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>pass</spf></policy_evaluated></row>
<identifiers><header_from>%[5]s</header_from></identifiers>
<auth_results><dkim><domain>%[5]s</domain><selector>s1</selector><result>pass</result></dkim><spf><domain>%[5]s</domain><result>pass</result></spf></auth_results></record></feedback>`,
		reporter, id, begin.Unix(), begin.Add(24*time.Hour-time.Second).Unix(), domain, messages)
}

// Reports come, are renamed, change, and go.
func TestFolder(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.want(0, 0, 0)
	f.report("a.xml", "example.org", "google.com", 10)
	f.report("b.xml", "example.org", "yahoo.com", 5)
	f.report("b-again.xml", "stranger.example", "yahoo.com", 5)
	f.want(3, 3, 0)
	f.count("example.org", 15)
	f.count("stranger.example", -1)
	if s := f.Of("example.org"); s.Reporters != 2 || s.Verdict.Text == "" || s.Policy.P != "none" || s.Last.IsZero() {
		t.Errorf("%+v", s)
	}
	if seen := f.Seen("example.org", "s1", time.Time{}); seen.Passed != 15 {
		t.Errorf("%+v", seen)
	}

	// The same report in another file counts once, and a file with another name is the same.
	if err := os.Link(filepath.Join(f.dir, "a.xml"), filepath.Join(f.dir, "a-link.xml")); err != nil {
		t.Fatal(err)
	}
	f.write("a-copy.xml", reportOf(f.now.AddDate(0, 0, -1), "example.org", "google.com", "a.xml", 10))
	f.want(4, 3, 0)
	f.count("example.org", 15)
	was := f.rebuilt
	if err := os.Rename(filepath.Join(f.dir, "b.xml"), filepath.Join(f.dir, "b.xml:2,S")); err != nil {
		t.Fatal(err)
	}
	f.want(4, 3, 0)
	if !f.rebuilt.Equal(was) {
		t.Error("all is read again for a name")
	}

	// One that is written just now is left until it is complete.
	f.report("c.xml", "example.org", "outlook.com", 100)
	f.touch("c.xml", -time.Minute)
	f.want(4, 3, 0)
	f.want(5, 4, 0)
	f.count("example.org", 115)

	// What has gone does not count any more, and the last of a domain takes its answer along.
	for _, name := range []string{"b.xml:2,S", "a-copy.xml"} {
		if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f.want(3, 3, 0)
	f.count("example.org", 110)
	f.write("c.xml", reportOf(f.now.AddDate(0, 0, -1), "other.example", "outlook.com", "c", 7))
	f.want(3, 3, 0)
	f.count("example.org", 10)
	f.count("other.example", 7)
	if err := errors.Join(os.Remove(filepath.Join(f.dir, "a.xml")), os.Remove(filepath.Join(f.dir, "a-link.xml"))); err != nil {
		t.Fatal(err)
	}
	f.want(2, 2, 0)
	f.count("example.org", -1)
	if seen := f.Seen("example.org", "s1", time.Time{}); seen.Passed != 0 {
		t.Errorf("%+v", seen)
	}
}

// Files that are no reports do not matter, and such that look like some are told of once.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.report("good.xml", "example.org", "google.com", 10)
	f.write("note.txt", "hello")
	f.write("bad.xml", "<feedback><report_metadata><org_name>x</org_name></report_metadata")
	f.want(3, 1, 1)
	f.want(3, 1, 1)
	f.count("example.org", 10)
	if n := strings.Count(f.log.String(), "reports cannot be read"); n != 1 {
		t.Errorf("told %d times:\n%s", n, &f.log)
	}
	f.write("bad.xml", reportOf(f.now, "example.org", "yahoo.com", "b", 1))
	f.want(3, 2, 0)
}

// A directory that cannot be read leaves what was known, and is told of once.
func TestBrokenFolder(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.report("a.xml", "example.org", "google.com", 10)
	f.want(1, 1, 0)
	if err := os.Rename(f.dir, f.dir+".away"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s := f.once()
		if !errors.Is(s.Err, fs.ErrNotExist) || s.Reports != 1 || s.Since.IsZero() || s.Read.Equal(f.now) {
			t.Errorf("%+v", s)
		}
		f.count("example.org", 10)
		if f.Seen("example.org", "s1", time.Time{}).Passed != 10 {
			t.Error("its key was never seen")
		}
	}
	if err := os.Rename(f.dir+".away", f.dir); err != nil {
		t.Fatal(err)
	}
	f.want(1, 1, 0)
	log := f.log.String()
	if strings.Count(log, "the reports cannot be read, and what they said before stays") != 1 ||
		strings.Count(log, "the reports can be read again") != 1 || strings.Count(log, `msg="reports read"`) != 1 {
		t.Error(log)
	}
}

// Of more than there is room for, the newest count. Old files are not even read.
func TestBounds(t *testing.T) {
	t.Parallel()
	f := newFolder(t, func(c *Config) { c.Rows = 3 })
	for i := range 6 {
		name := fmt.Sprintf("r%d.xml", i)
		f.report(name, "example.org", name, 1<<i)
		f.touch(name, time.Duration(i+1)*time.Hour)
	}
	f.report("old.xml", "old.example", "google.com", 1)
	f.touch("old.xml", 40*24*time.Hour)
	s := f.once()
	if s.Files != 3 || s.Reports != 3 || s.Left != 3 {
		t.Errorf("%+v", s)
	}
	f.count("example.org", 1+2+4)
	f.count("old.example", -1)
	f.once()
	if n := strings.Count(f.log.String(), "more reports than are kept"); n != 1 {
		t.Errorf("told %d times", n)
	}
	// Tomorrow others may be the newest.
	f.report("r9.xml", "example.org", "r9", 1<<9)
	if err := os.Remove(filepath.Join(f.dir, "r0.xml")); err != nil {
		t.Fatal(err)
	}
	f.once()
	f.count("example.org", 1<<9+2+4)
	// So may they if none goes.
	f.report("r10.xml", "example.org", "r10", 1<<10)
	if s := f.once(); s.Files != 3 || s.Left != 4 {
		t.Errorf("%+v", s)
	}
	f.count("example.org", 1<<10+1<<9+2)
}

// A mailbox has reports of years, and more of them than there is room for.
func TestLargeMailbox(t *testing.T) {
	t.Parallel()
	f := newFolder(t, func(c *Config) { c.Rows = 3 })
	var all strings.Builder
	for i := range 12 {
		ago := 1
		if i < 6 {
			ago = 400
		}
		all.WriteString("From dmarc@google.com Mon Nov 30 00:00:00 2026\nContent-Type: text/xml\n\n" +
			reportOf(f.now.AddDate(0, 0, -ago), "example.org", fmt.Sprint("r", i), fmt.Sprint(i), 1) + "\n\n")
	}
	f.write("mbox", all.String())
	if s := f.once(); s.Reports != 3 || s.Left != 1 || s.Files != 0 {
		t.Errorf("%+v", s)
	}
	f.count("example.org", 3)
}

// Room is memory: a report of few rows can have very many names, each of them long.
func TestNamesTakeRoom(t *testing.T) {
	t.Parallel()
	f := newFolder(t, func(c *Config) { c.Rows = 2000 })
	for i := range 40 {
		name := fmt.Sprintf("r%d.xml", i)
		signatures := ""
		for j := range 50 {
			signatures += fmt.Sprintf("<dkim><domain>x.example</domain><selector>%s%d-%d</selector><result>fail</result></dkim>",
				strings.Repeat("a", 900), i, j)
		}
		text := reportOf(f.now.AddDate(0, 0, -1), "example.org", name, name, 1)
		f.write(name, strings.Replace(text, "<auth_results>", "<auth_results>"+signatures, 1))
	}
	if s := f.once(); s.Left == 0 || s.Files == 0 {
		t.Errorf("%+v", s)
	}
}

// Very many domains are not all answered on before new reports are looked for.
func TestTurns(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.turn = 0
	for i := range 5 {
		f.report(fmt.Sprint(i), fmt.Sprintf("d%d.example", i), "google.com", 1)
	}
	for want := 1; want <= 6; want++ {
		f.once()
		if got := len(f.All()); got != min(want, 5) {
			t.Errorf("turn %d: %d answers", want, got)
		}
	}
}

// A folder and a file that this user may not read are told of: what is in them may be the
// failures.
func TestDenied(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.report("a.xml", "example.org", "google.com", 10)
	f.report("b/b.xml", "example.org", "yahoo.com", 5)
	f.report("c.xml", "example.org", "gmx.net", 1)
	f.want(3, 3, 0)
	mode := func(name string, mode fs.FileMode) {
		if err := os.Chmod(filepath.Join(f.dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	mode("..", 0o755)
	mode("b", 0)
	mode("c.xml", 0)
	f.touch("c.xml", time.Minute)
	asNobody(t, func() {
		f.want(1, 1, 2)
		f.want(1, 1, 2)
	})
	f.count("example.org", 10)
	if n := strings.Count(f.log.String(), "a part of the reports cannot be read"); n != 1 {
		t.Errorf("told %d times: %s", n, f.log.String())
	}
	mode("b", 0o755)
	mode("c.xml", 0o644)
	f.want(3, 3, 0)
	f.count("example.org", 16)
}

// asNobody calls f with the file system as a user sees it who is not root.
func asNobody(t *testing.T, f func()) {
	if uid := syscall.Geteuid(); uid == 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Setfsuid(uid) }()
	}
	f()
}

// A pipe has no reports, and nobody waits for its writer.
func TestPipe(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	f.Path = filepath.Join(f.dir, "pipe")
	if err := syscall.Mkfifo(f.Path, 0o600); err != nil {
		t.Fatal(err)
	}
	f.want(0, 0, 0)
}

// A fault of our own ends neither the program nor what was known.
func TestFault(t *testing.T) {
	t.Parallel()
	faulty := false
	f := newFolder(t, func(c *Config) {
		known := c.Known
		c.Known = func(domain string) bool {
			if faulty {
				panic("a report that nobody thought of")
			}
			return known(domain)
		}
	})
	f.report("a", "a.example", "google.com", 10)
	f.want(1, 1, 0)
	faulty = true
	f.report("b", "b.example", "google.com", 20)
	if s := f.once(); s.Err == nil || !strings.Contains(f.log.String(), "by a fault of signpostd") {
		t.Errorf("%+v, want an error, and this in the log:\n%s", s, f.log.String())
	}
	f.count("a.example", 10)
	faulty = false
	f.report("b", "b.example", "google.com", 30)
	f.once()
	f.count("a.example", 10)
	f.count("b.example", 30)
}

// A maildir that somebody reads with a mail program.
func TestMaildir(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	for _, dir := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(f.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	message := "From: dmarc@google.com\nSubject: Report\nMIME-Version: 1.0\nContent-Type: text/xml\n\n" +
		reportOf(f.now.AddDate(0, 0, -1), "example.org", "google.com", "1", 10)
	f.write("tmp/1", message)
	f.want(0, 0, 0)
	for _, to := range []string{"new/1", "cur/1:2,", "cur/1:2,S"} {
		if err := os.Rename(filepath.Join(f.dir, last(f.dir)), filepath.Join(f.dir, to)); err != nil {
			t.Fatal(err)
		}
		f.want(1, 1, 0)
		f.count("example.org", 10)
	}
}

// last returns the one file in a maildir.
func last(dir string) string {
	found, _ := filepath.Glob(filepath.Join(dir, "*", "1*"))
	name, _ := filepath.Rel(dir, found[0])
	return name
}

// It ends when it is told to, in the midst of reading, and half of what is there is never
// taken for all.
func TestStop(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	for i := range 5 {
		f.report(fmt.Sprintf("%d.xml", i), "example.org", fmt.Sprint("r", i), 1)
	}
	ctx, cancel := contextThatEnds(t, 3)
	defer cancel()
	f.look(ctx, f.now)
	if s := f.State(); !s.Read.IsZero() || s.Reports != 0 {
		t.Errorf("%+v", s)
	}
}

// contextThatEnds ends when it was asked for so many times whether it has.
func contextThatEnds(t *testing.T, asked int) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	return &countdown{ctx, cancel, asked}, cancel
}

type countdown struct {
	context.Context
	cancel context.CancelFunc
	left   int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		c.cancel()
	}
	return c.Context.Err()
}

// Names and the record come from the DNS. What it once said of a name holds while it does
// not answer.
func TestNames(t *testing.T) {
	t.Parallel()
	zone := nameserver.NewZone(t, "mail.example.org. 60 IN A 192.0.2.10", "10.2.0.192.in-addr.arpa. 60 IN PTR mail.example.org.")
	zone.PublishTXT("_dmarc.example.org", "v=DMARC1; p=none; rua=mailto:dmarc@example.org")
	f := newFolder(t, func(c *Config) {
		c.Resolver = &dns.Resolver{Servers: []string{zone.Serve(t)}, Patience: 10 * time.Second, Attempts: 1}
		c.Question = func(now time.Time) tally.Question {
			return tally.Question{Now: now, Days: 30, Thresholds: tally.Thresholds{Days: 1, Reporters: 1, Messages: 1}}
		}
	})
	f.report("a.xml", "example.org", "google.com", 10)
	f.want(1, 1, 0)
	if record := f.Of("example.org").Verdict.Record; record != "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org" {
		t.Errorf("the record is %q", record)
	}
	host := netip.MustParseAddr("192.0.2.10")
	named := func() string { return f.naming(t.Context(), []netip.Addr{host}, f.now)(host) }
	if got := named(); got != "mail.example.org" {
		t.Errorf("named %q", got)
	}
	zone.Withdraw("10.2.0.192.in-addr.arpa")
	for _, step := range []struct {
		pause time.Duration
		want  string
	}{{time.Minute, "mail.example.org"}, {25 * time.Hour, "mail.example.org"}, {8 * 24 * time.Hour, ""}} {
		f.now = f.now.Add(step.pause)
		if got := named(); got != step.want {
			t.Errorf("%v later it is named %q, want %q", step.pause, got, step.want)
		}
	}
	zone.Publish(t, ".", "10.2.0.192.in-addr.arpa. 60 IN PTR mail.example.org.")
	f.now = f.now.Add(2 * time.Hour)
	if got := named(); got != "mail.example.org" {
		t.Errorf("named %q again", got)
	}

	// With two records there is none.
	zone.Publish(t, ".", `_dmarc.example.org. 60 IN TXT "v=DMARC1; p=none"`+"\n"+`_dmarc.example.org. 60 IN TXT "v=DMARC1; p=reject"`)
	if got := f.published(t.Context(), "example.org"); got != "" {
		t.Errorf("published %q", got)
	}
}

// It can be asked while it reads.
func TestWhileReading(t *testing.T) {
	t.Parallel()
	f := newFolder(t, nil)
	for i := range 20 {
		f.report(fmt.Sprintf("%d.xml", i), fmt.Sprintf("d%d.example", i), fmt.Sprint("r", i), 1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { f.Watch.Run(ctx) })
	for deadline := time.Now().Add(time.Minute); len(f.All()) < 20 && time.Now().Before(deadline); {
		f.Seen("d1.example", "s1", time.Time{})
		_ = f.State().Reports
	}
	cancel()
	running.Wait()
	f.count("d19.example", 1)
}
