package main

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"signpost/keystore/report/tally"
)

// hostileReports is an answer in which every text that comes from outside does what it can.
func hostileReports() *reportsAnswer {
	script := `<script>document.title="owned"</script><img src=http://127.0.0.1:9/x onerror='document.title="owned"'>` +
		"\u202egnitirw\x1b[31m" + strings.Repeat("verylong", 40)
	day := time.Date(2026, 10, 27, 0, 0, 0, 0, time.UTC)
	domain := func(name string, safe tally.Safety) *reportsDomain {
		a := &tally.Answer{
			Domain: name, Reports: 90, Reporters: []string{script, "b"}, First: day, Last: day.AddDate(0, 0, 29), Covered: 30,
			Messages: tally.Count{Passed: 41203, Failed: 9}, Subdomains: []tally.Subdomain{{Name: script}},
			Sources: []tally.Source{{Address: netip.MustParseAddr("2001:db8::1"), Name: script, Kind: tally.Own, Why: script,
				Ignored: true, Count: tally.Count{Passed: 41203, Failed: 9}}},
			WhatIf:    []tally.WhatIf{{Policy: "reject", Delivered: 41203, Rejected: 9}},
			Overrides: []tally.Override{{Type: script, Comment: script, Messages: 3}},
			Selectors: []tally.Selector{{Domain: script, Selector: script, Stage: "active", Foreign: true, What: script,
				Sighting: tally.Sighting{Last: day, Reporter: script}}, {Domain: name}},
			Broken: []tally.Broken{{Selector: script, Day: day, What: script, Hint: script}},
			Unseen: []string{script},
			Verdict: tally.Verdict{Safe: safe, Next: "reject", Text: script, Record: script, Lacking: []string{script},
				Notes: []string{script}, Against: []tally.Reason{{What: script, Do: script, NotMine: script}}},
		}
		for i := range 30 {
			a.Days = append(a.Days, tally.Day{Day: day.AddDate(0, 0, i), Count: tally.Count{Passed: 1000 + 10*i, Failed: i % 3}, Reports: 3})
		}
		return &reportsDomain{Answer: a, Record: script, NoRecord: script, Refused: script}
	}
	return &reportsAnswer{Safe: tally.NotYet, Read: reportsRead{Reports: 90, Twice: 3, TLS: 2,
		Failed: []failedReport{{Where: script, Error: script, Hint: script}}},
		Domains: []*reportsDomain{domain("example.org", tally.NotYet), domain(script, tally.CannotSay), domain("example.net", tally.Safe)}}
}

// A browser shows the page as it is meant, loads nothing, and runs nothing. go test
// -artifacts keeps screenshots.
func TestReportsPageInBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing; hint: sh test/setup.sh tests")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "reports.html")
	if err := writePage(file, hostileReports(), time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "signpost-chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) })
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	tab, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	tab, cancel = context.WithTimeout(tab, 2*time.Minute)
	t.Cleanup(cancel)
	var loaded, complaints []string
	chromedp.ListenTarget(tab, func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			loaded = append(loaded, e.Request.URL)
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded: // as of what the policy in the page forbids
			complaints = append(complaints, e.Entry.Text)
		}
	})
	for _, view := range []struct {
		scheme, back string
		width        int64
	}{
		{"light", "rgb(247, 246, 242)", 1280},
		{"dark", "rgb(21, 23, 26)", 320},
	} {
		var scrolled, width, bars int64
		var title, back string
		err := chromedp.Run(tab, cdplog.Enable(), network.Enable(),
			chromedp.EmulateViewport(view.width, 800),
			emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: view.scheme}}),
			chromedp.Navigate("file://"+file),
			chromedp.Evaluate("document.documentElement.scrollWidth", &scrolled),
			chromedp.Evaluate("document.documentElement.clientWidth", &width),
			chromedp.Evaluate("getComputedStyle(document.body).backgroundColor", &back),
			chromedp.Evaluate("Math.round(document.querySelector('path.signed').getBoundingClientRect().height)", &bars),
			chromedp.Title(&title))
		if err != nil {
			t.Fatal(err)
		}
		if scrolled > width || back != view.back || bars < 100 || title != "Signpost: DMARC reports, not yet" {
			t.Errorf("%s: %d wide in %d, background %s, bars %d high, title %q", view.scheme, scrolled, width, back, bars, title)
		}
		if flag.Lookup("test.artifacts").Value.String() == "true" {
			var picture []byte
			if err := chromedp.Run(tab, chromedp.FullScreenshot(&picture, 100)); err != nil {
				t.Error(err)
			}
			if err := os.WriteFile(filepath.Join(t.ArtifactDir(), fmt.Sprintf("reports-%s.png", view.scheme)), picture, 0o644); err != nil {
				t.Error(err)
			}
		}
	}
	for _, url := range loaded {
		if url != "file://"+file {
			t.Errorf("it loads %s", url)
		}
	}
	for _, text := range complaints {
		t.Error(text)
	}
}

// A page that cannot be made leaves the old one.
func TestReportsPageIsReplacedWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "reports.html")
	for range 2 {
		if err := writePage(file, hostileReports(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	page := readFile(t, file)
	if !strings.HasSuffix(page, "</html>\n") && !strings.Contains(page, "</html>") {
		t.Error("it is cut off")
	}
	for _, bad := range []string{"<script", "<img", "\u202e", "\x1b"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
