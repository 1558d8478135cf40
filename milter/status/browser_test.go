package status

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	dmarc "signpost/keystore/report/tally"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status/view"
)

// hostile are names and texts that would do harm if they were not made safe.
func hostile() []view.Domain {
	script := `<script>document.title="owned"</script><img src=x onerror='document.title="owned"'>`
	long := strings.Repeat("verylonglabel", 60) + ".example"
	return []view.Domain{
		{Name: script, Problems: []string{script}, Keys: []view.Key{{Selector: script, Algorithm: script, File: script, Stage: rotation.Broken,
			Evidence: script, Failure: script + "\u202egnitirw esrever\u202c", Advice: script, RecordName: script, RecordValue: script, Reports: &rotation.Testimony{Text: script}}},
			DMARC: &view.DMARC{Policy: script, Verdict: dmarc.Verdict{Safe: dmarc.NotYet, Text: script, Lacking: []string{long}, Record: long,
				Against: []dmarc.Reason{{What: script, Do: long, NotMine: long}}, Notes: []string{script}}}},
		{Name: "\u202emoc.elpmaxe", Keys: []view.Key{{Selector: "\u2066x\x1b[31m", Stage: rotation.Pending, Evidence: strings.Repeat("\u202e<b>", 3000),
			RecordName: "\"onmouseover=alert(1) ", RecordValue: strings.Repeat("A", 5000)}}},
		{Name: long, Keys: []view.Key{{Selector: strings.Repeat("s", 300), Stage: rotation.Active, Algorithm: "rsa", Bits: 4096,
			Evidence: strings.Repeat("e", 2000), RecordName: long, RecordValue: strings.Repeat("B", 4000)}}},
	}
}

// TestBrowser looks at the pages with a real browser. go test -artifacts keeps
// its screenshots.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is missing; hint: sh test/setup.sh tests")
	}
	profile, err := os.MkdirTemp("", "signpost-chromium")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(profile) })
	allocated, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.UserDataDir(profile), chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(cancel)
	main, cancel := chromedp.NewContext(allocated)
	t.Cleanup(cancel)
	if err := chromedp.Run(main); err != nil {
		t.Fatal(err)
	}

	source := withReports(sourceOf(reportedOn()), reportedOn())
	source.unready([]string{"it stops"}, Unsignable{"missing.example", "no key"})
	source.Invalid = func() []string {
		return []string{`key /etc/opendkim/keys/a b.private: "a b" is no domain; hint: name the file <domain>.private`}
	}
	recorder := recorderOf(source, 0)
	someMail(recorder)
	recorder.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.FromMultiple, Action: milter.Reject, Author: "example.org"}})
	some := serve(t, source, recorder).URL
	bad := withReports(sourceOf(hostile()), hostile())
	bad.unready([]string{hostile()[0].Name}, Unsignable{hostile()[2].Name, hostile()[0].Name})
	bad.Invalid = func() []string { return []string{hostile()[0].Name} }
	badMail := recorderOf(bad, 0)
	badMail.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.NoKey, Author: hostile()[0].Name, Err: errors.New(hostile()[0].Name)},
		QueueID: hostile()[0].Name, Client: milter.Client{Login: hostile()[0].Name}})
	hurt := serve(t, bad, badMail).URL
	thousand := sourceOf(manyDomains(1000))
	many := serve(t, thousand, recorderOf(thousand, 0)).URL

	for _, test := range []struct {
		name, url string
		width     int64
		dark      bool
		noScript  bool
	}{
		{"light", some, 1280, false, false},
		{"dark", some, 1280, true, false},
		{"phone", some, 390, false, false},
		{"narrow", some, 320, true, false},
		{"domain", some + "/?domain=example.org", 1280, true, false},
		{"domain-not-yet", some + "/?domain=quiet.example", 390, true, false},
		{"domain-phone", some + "/?domain=example.org", 390, false, false},
		{"no-script", some, 1280, false, true},
		{"hostile", hurt, 1280, false, false},
		{"hostile-phone", hurt, 320, true, false},
		{"hostile-domain", hurt + "/?" + url.Values{"domain": {hostile()[0].Name}}.Encode(), 320, false, false},
		{"many-phone", many + "/?limit=300&show=active", 390, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			tab, cancel := chromedp.NewContext(main)
			defer cancel()
			tab, cancel = context.WithTimeout(tab, time.Minute)
			defer cancel()
			var complaints []string
			chromedp.ListenTarget(tab, func(event any) {
				switch e := event.(type) {
				case *runtime.EventExceptionThrown:
					complaints = append(complaints, e.ExceptionDetails.Error())
				case *runtime.EventConsoleAPICalled:
					complaints = append(complaints, fmt.Sprint(e.Type, e.Args))
				case *cdplog.EventEntryAdded: // as of what the CSP forbids
					complaints = append(complaints, e.Entry.Text)
				}
			})
			scheme := "light"
			if test.dark {
				scheme = "dark"
			}
			var scrolled, width int64
			var title, background, badge, now string
			var poor []string
			err := chromedp.Run(tab,
				cdplog.Enable(),
				chromedp.EmulateViewport(test.width, 800),
				emulation.SetTimezoneOverride("Asia/Kathmandu"),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				emulation.SetScriptExecutionDisabled(test.noScript),
				chromedp.Navigate(test.url),
				chromedp.Evaluate("document.documentElement.scrollWidth", &scrolled),
				chromedp.Evaluate("document.documentElement.clientWidth", &width),
				chromedp.Evaluate("getComputedStyle(document.body).backgroundColor", &background),
				chromedp.Evaluate("getComputedStyle(document.querySelector('.badge')).borderRadius", &badge),
				chromedp.Evaluate("document.querySelector('header time').innerText + document.querySelector('header [data-zone]').innerText", &now),
				chromedp.Evaluate(poorContrast, &poor),
				chromedp.Title(&title),
			)
			if err != nil {
				t.Fatal(err)
			}
			if flag.Lookup("test.artifacts").Value.String() == "true" {
				var screenshot []byte
				if err := chromedp.Run(tab, chromedp.FullScreenshot(&screenshot, 100)); err != nil {
					t.Error(err)
				}
				if err := os.WriteFile(filepath.Join(t.ArtifactDir(), test.name+".png"), screenshot, 0o644); err != nil {
					t.Error(err)
				}
			}
			if scrolled > width {
				t.Errorf("the page is %d wide in a window of %d", scrolled, width)
			}
			if !strings.HasPrefix(title, "Signpost: ") {
				t.Errorf("a name had its way: the title is %q", title)
			}
			want := "rgb(247, 246, 242)"
			if test.dark {
				want = "rgb(21, 23, 26)"
			}
			if background != want || badge != "16px" {
				t.Errorf("the style does not apply: background %s, want %s", background, want)
			}
			want = "2026-11-25 17:45:30Asia/Katmandu"
			if test.noScript {
				want = "2026-11-25 12:00:30ZUTC"
			}
			if now != want {
				t.Errorf("the page says that it is %s, want %s", now, want)
			}
			for _, text := range append(complaints, poor...) {
				t.Error(text)
			}
		})
	}

	t.Run("zone", func(t *testing.T) {
		tab, cancel := chromedp.NewContext(main)
		defer cancel()
		tab, cancel = context.WithTimeout(tab, time.Minute)
		defer cancel()
		var ticks, hours, checked string
		err := chromedp.Run(tab,
			emulation.SetTimezoneOverride("America/St_Johns"),
			chromedp.Navigate(some+"/?domain=example.org"),
			chromedp.Evaluate("[...document.querySelectorAll('.times text')].map((e) => e.textContent).join(' ')", &ticks),
			chromedp.Evaluate("[...document.querySelectorAll('.hours time')].map((e) => e.textContent).join(' ')", &hours),
			chromedp.Evaluate("document.querySelector('.meaning time:nth-of-type(1)').title", &checked),
		)
		if err != nil {
			t.Fatal(err)
		}
		if ticks != "12:30 16:30 20:30 00:30 04:30" || hours != "2026-11-25 08:30" || checked != "2026-11-25 08:23:30" {
			t.Errorf("ticks at %s, hours at %s, since %s", ticks, hours, checked)
		}
	})

	t.Run("copy", func(t *testing.T) {
		tab, cancel := chromedp.NewContext(main)
		defer cancel()
		tab, cancel = context.WithTimeout(tab, time.Minute)
		defer cancel()
		var name, value string
		var hidden bool
		evaluate := func(expression string, result any) chromedp.Action {
			return chromedp.Evaluate(expression, result, func(p *runtime.EvaluateParams) *runtime.EvaluateParams {
				return p.WithAwaitPromise(true).WithUserGesture(true)
			})
		}
		// press presses a button and waits until it says that it has copied.
		press := func(what string) chromedp.Action {
			return evaluate(fmt.Sprintf(`new Promise((done) => {
				const button = document.querySelector("details[open] [data-copy=%s]");
				const copied = () => button.textContent === "Copied" && done(true);
				new MutationObserver(copied).observe(button, {childList: true, characterData: true, subtree: true});
				button.click();
			})`, what), nil)
		}
		const clipboard = "navigator.clipboard.readText()"
		var fallback string
		err := chromedp.Run(tab,
			browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-read"}, browser.PermissionSettingGranted),
			browser.SetPermission(&browser.PermissionDescriptor{Name: "clipboard-write"}, browser.PermissionSettingGranted),
			chromedp.Navigate(some),
			press("value"), evaluate(clipboard, &value),
			press("name"), evaluate(clipboard, &name),
			// As over plain http from another host.
			chromedp.Navigate(some),
			evaluate("Object.defineProperty(navigator.clipboard, 'writeText', {value: () => Promise.reject()}), 0", nil),
			press("value"), evaluate(clipboard, &fallback),
			emulation.SetScriptExecutionDisabled(true),
			chromedp.Navigate(some),
			evaluate("document.querySelector('[data-copy]').hidden", &hidden),
		)
		if err != nil {
			t.Fatal(err)
		}
		if fallback != recordValue {
			t.Errorf("without a clipboard, %q is copied", fallback)
		}
		if name != "s20261125._domainkey.example.org" || value != recordValue {
			t.Errorf("copied %q and %q", name, value)
		}
		if !hidden {
			t.Error("without JavaScript there is a button that does nothing")
		}
	})
}

// poorContrast lists texts with less contrast than WCAG 2.1 AA asks for (1.4.3).
const poorContrast = `(() => {
  const parse = (c) => c.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; })
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; } };
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || ["SCRIPT", "STYLE"].includes(e.tagName)) continue;
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push("contrast of " + ratio.toFixed(2) + ": " + e.tagName + "." + e.className + " " + e.textContent.slice(0, 40));
  }
  for (const e of document.querySelectorAll(".chart path:not(.grid)")) { // 1.4.11
    const [a, b] = [light(parse(getComputedStyle(e).fill)), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 3) poor.push("contrast of " + ratio.toFixed(2) + ": bars of " + e.getAttribute("class"));
  }
  return poor;
})()`
