package system

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"signpost/milter/status/view"
)

// Mail with a line that Postfix would break after signing is refused where the setting
// says so: by SMTP at once, and by sendmail(1) with a bounce. It is counted, and explain
// says the same. Other mail is signed.
func TestBrokenLaterIsRefused(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	page := w.net + ".8:8890"
	w.startDaemon("SIGNPOST_ON_BROKEN_LATER=reject", "--http="+page)
	p := w.startPostfix(w.milterAddr())
	long := append(letter("a@example.org", "long"), strings.Repeat("x", 999)+"\r\n"...)
	p.mustRefuse("a@example.org", "reader@rcpt.test", long, 550, "5.6.0 a line of the body has 999 octets")
	if said := w.explain(long, "--on-broken-later=reject"); !said.Rejected || said.Reason != "line-too-long" {
		t.Errorf("explain says %+v", said)
	}
	header := strings.Replace(string(letter("a@example.org", "header")), "Subject: ", "Subject: "+strings.Repeat("x", 1000), 1)
	sendmail := w.command("sendmail", "-C", p.Etc, "-i", "-f", "a@rcpt.test", "reader@rcpt.test")
	sendmail.Stdin = strings.NewReader(header)
	if out, err := sendmail.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	await(t, "the bounce", func() bool { return len(w.sink.Find("Status: 5.6.0")) > 0 })

	short := append(letter("a@example.org", "short"), strings.Repeat("x", 998)+"\r\n"...)
	p.mustSubmit("a@example.org", "reader@rcpt.test", short)
	w.mustVerify(w.awaitDelivery("short"), want)
	get := func(path string) string {
		reply, err := http.Get("http://" + page + path)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		text, err := io.ReadAll(reply.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	metrics := get("/metrics")
	for _, line := range []string{`signpost_long_lines_total{part="body"} 1`, `signpost_long_lines_total{part="header"} 1`} {
		if !strings.Contains(metrics, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	// The table, and the steps of the plot, which may fall into two.
	if rows := get("/domains.csv?domain=example.org"); !strings.Contains(rows, "\r\nexample.org,false,active,1,0,0,2,") {
		t.Errorf("the table has %s", rows)
	}
	var signed, refused uint64
	var day view.Day
	if err := json.Unmarshal([]byte(get("/messages.json?domain=example.org")), &day); err != nil {
		t.Fatal(err)
	}
	for _, step := range day.Steps {
		signed, refused = signed+step.Signed, refused+step.Refused
	}
	if signed != 1 || refused != 2 {
		t.Errorf("the plot has %d signed and %d refused", signed, refused)
	}
}
