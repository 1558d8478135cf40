package system

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/textproto"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"signpost/test/lab"
)

// explained is what `signpost explain --json` says of one message.
type explained struct {
	Signed     bool   `json:"signed"`
	TempFail   bool   `json:"tempfail"`
	Rejected   bool   `json:"rejected"`
	Reason     string `json:"reason"`
	Signatures []struct {
		Field string `json:"field"`
	} `json:"signatures"`
	Log      string `json:"log"`
	Findings []explainedFinding
}

type explainedFinding struct{ Code, Level, Name, What, Effect, Fix string }

// explain asks the companion, with the world's keys.
func (w *world) explain(message []byte, args ...string) explained {
	w.t.Helper()
	return w.explainAll([][]byte{message}, args...)[0]
}

// explainAll is explain for many messages, in about the time of one.
func (w *world) explainAll(messages [][]byte, args ...string) []explained {
	w.t.Helper()
	args = append([]string{"explain", "--json", "--keys", w.keys}, args...)
	for i, message := range messages {
		args = append(args, w.write(fmt.Sprintf("message-%d.eml", i), string(message)))
	}
	out, err := w.companion(args...).Output()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() != 1 || err != nil && exit == nil {
		w.t.Fatalf("signpost explain: %v\n%s", err, stderrOf(err))
	}
	var answer struct{ Messages []explained }
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Messages) != len(messages) {
		w.t.Fatalf("signpost explain said %q: %v", out, err)
	}
	return answer.Messages
}

// companion prepares a run of signpost in the world.
func (w *world) companion(args ...string) *exec.Cmd {
	return w.command(lab.Programs()+"/signpost", args...)
}

// faults are the codes of the findings that say that the signature breaks.
func (e explained) faults() (codes []string) {
	for _, f := range e.Findings {
		if f.Level == "fault" {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// unstable is what differs from one signature to the next: t=, and what of b=
// follows from it.
var unstable = regexp.MustCompile(`t=[0-9]+;|(?s)\sb=.*$`)

// What explain says is what the daemon does: the same reason, the same keys and
// the same signature field, for many messages from many clients.
func TestExplainAgreesWithDaemon(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	w.addKey("ed25519", "example.org/e1.private", ed25519Signature("example.org", "e1"))
	w.addKey("rsa", "example.net.s2.key", rsaSignature("example.net", "s2"))
	w.dropKey("broken.example.private", key{pem: []byte("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")})
	settings := []string{"--subdomains", "--domains=must.example", "--canonicalization=simple/simple", "--max-header-bytes=65536", "--sign-headers=*,+X-Mine"}
	d := w.startDaemon(settings...)
	p := w.startPostfix(w.milterAddr(),
		"inet_protocols = all",
		"local_header_rewrite_clients =", // nothing is added before the milter sees the message
		"smtpd_authorized_xclient_hosts = 127.0.0.0/8",
		"smtpd_relay_restrictions = check_client_access static:ok, reject")

	clients := []struct{ flags, xclient string }{
		{"--client=10.1.2.3", "ADDR=10.1.2.3 LOGIN=[UNAVAILABLE]"},
		{"--client=203.0.113.9", "ADDR=203.0.113.9 LOGIN=[UNAVAILABLE]"},
		{"--client=203.0.113.9 --auth=jane", "ADDR=203.0.113.9 LOGIN=jane"},
		{"--client=2001:db8::9", "ADDR=IPV6:2001:db8::9 LOGIN=[UNAVAILABLE]"},
		{"--client=fd00::9", "ADDR=IPV6:fd00::9 LOGIN=[UNAVAILABLE]"},
	}
	froms := map[string]string{
		"plain":       "From: A <a@example.org>",
		"capitals":    "FROM:a@EXAMPLE.ORG",
		"net":         "From: a@example.net",
		"subdomain":   "From: a@x.y.example.net",
		"no-key":      "From: a@other.example",
		"must":        "From: a@must.example",
		"broken":      "From: a@broken.example",
		"missing":     "X-Mine: nothing",
		"multiple":    "From: a@example.org\r\nFrom: b@example.org",
		"two-domains": "From: a@example.org, b@example.net",
		"one-domain":  "From: a@example.org, b@example.org",
		"others":      "From: a@other.example\r\nFrom: b@other.example",
		"invalid":     "From: A <a@example.org",
		"ambiguous":   "From: eve@other.example <a@example.org>",
		"comments":    "From: (c) a@(x)example . org",
		"literal":     "From: a@[10.0.0.1]",
		"single":      "From: root@localhost",
		"folded":      "From: A\r\n\t<a@example.org>\r\nX-Mine:  two\r\n  lines\t",
		"too-large":   "From: a@example.org\r\nComments: " + strings.Repeat("x y ", 10000) + "\r\nComments: " + strings.Repeat("x y ", 10000),
	}
	names := slices.Sorted(maps.Keys(froms))
	seen := make(map[string]bool)
	for _, c := range clients {
		var ids []string
		var messages [][]byte
		for _, name := range names {
			id := name + strings.NewReplacer(" ", "", "-", "", "=", "", ":", "", ".", "").Replace(c.flags)
			ids = append(ids, id)
			messages = append(messages, []byte(froms[name]+"\r\nTo: reader@rcpt.test\r\nSubject:  S \r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <"+id+"@mta.test>\r\n\r\nGr\xc3\xbc\xc3\x9fe.  \r\n\r\n\r\n"))
		}
		for i, said := range w.explainAll(messages, append(strings.Fields(c.flags), settings...)...) {
			id := ids[i]
			seen[said.Reason] = true

			conn, err := p.dial()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.command(220, "XCLIENT NAME=out.example.net %s", c.xclient); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.command(250, "EHLO client.test"); err != nil {
				t.Fatal(err)
			}
			before := len(d.logged("queue="))
			_, err = conn.send("a@example.org", []string{"reader@rcpt.test"}, messages[i])
			conn.Close()
			await(t, "the daemon's line for "+id, func() bool { return len(d.logged("queue=")) > before })
			line := d.logged("queue=")[before]
			if got, want := logShape(line), logShape(said.Log); got != want {
				t.Errorf("%s: the daemon logs\n%s, explain says\n%s", id, got, want)
			}
			refused := new(textproto.Error)
			errors.As(err, &refused)
			if refused.Code != map[bool]int{said.TempFail: 451, said.Rejected: 550}[true] {
				t.Errorf("%s: Postfix said %v, explain tempfail %v, rejected %v", id, err, said.TempFail, said.Rejected)
			}
			if err != nil {
				continue
			}
			arrived := w.awaitDelivery(id)
			var got, want []string
			for _, field := range signatureFields(arrived) {
				got = append(got, unstable.ReplaceAllString(string(arrived[field.start:field.end]), ""))
			}
			for _, s := range said.Signatures {
				want = append(want, unstable.ReplaceAllString(strings.ReplaceAll(s.Field, "\n", "\r\n")+"\r\n", ""))
			}
			if !slices.Equal(got, want) || said.Signed != (len(got) > 0) {
				t.Errorf("%s: the message has\n%q, explain says\n%q", id, got, want)
			}
		}
	}
	for _, reason := range []string{"signed", "untrusted-client", "header-too-large", "from-missing", "from-multiple", "from-invalid", "from-ambiguous", "no-key", "key-broken"} {
		if !seen[reason] {
			t.Errorf("no message had the reason %s", reason)
		}
	}
}

// logShape is a line of the log without what differs from run to run.
func logShape(line string) string {
	_, line, _ = strings.Cut(" "+line, " level=")
	line = regexp.MustCompile(`queue=\S+`).ReplaceAllString(line, "queue=Q")
	return regexp.MustCompile(`msg="\w+:`).ReplaceAllString(line, `msg="Q:`)
}

// What explain predicts comes true in real Postfix: a signature is broken where
// there is a fault, and good where there is none.
func TestPredictionsComeTrue(t *testing.T) {
	t.Parallel()
	compose := func(body string, fields ...string) []byte {
		header := append([]string{"From: A <a@example.org>", "To: reader@rcpt.test", "Date: Mon, 02 Nov 2026 10:00:00 +0000"}, fields...)
		return append(lines(header...), "\r\n"+body...)
	}
	mime := []string{"MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"}
	with := func(fields ...string) []string { return append(fields, "Subject: S") }
	multipart := compose("--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n--b--\r\n",
		"Subject: S", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b")
	messages := map[string][]byte{
		"plain":              compose("hello\r\n", with()...),
		"line-998":           compose(strings.Repeat("x", 998)+"\r\n", with()...),
		"line-999":           compose("x\r\n"+strings.Repeat("x", 999)+"\r\n", with()...),
		"field-999":          compose("x\r\n", with("References: "+strings.Repeat("<a@b> ", 200))...),
		"folded":             compose("x\r\n", with("References: "+strings.Repeat("<a@b>\r\n\t", 200)+"<c@d>")...),
		"unsigned-999":       compose("x\r\n", with("X-Other: "+strings.Repeat("x", 1200))...),
		"8bit":               compose("Gr\xc3\xbc\xc3\x9fe\r\n", with(mime...)...),
		"8bit-ascii":         compose("Gruesse\r\n", with(mime...)...),
		"8bit-part":          multipart,
		"8bit-undeclared":    compose("Gr\xc3\xbc\xc3\x9fe\r\n", with(mime[:2]...)...),
		"8bit-header":        compose("x\r\n", with("Keywords: x", "In-Reply-To: \xc3\xbc")...),
		"bare-cr":            compose("a\rb\r\n", with()...),
		"bare-lf":            compose("a\nb\r\n", with()...),
		"nul":                compose("a\x00b\r\n", with()...),
		"dropped":            compose("x\r\n", with("Bcc: x@example.net", "Return-Path: <x@example.org>", "Content-Length: 12")...),
		"no-date":            bytes.Replace(compose("x\r\n", with()...), []byte("Date:"), []byte("X-Date:"), 1),
		"no-recipient":       bytes.Replace(compose("x\r\n", with()...), []byte("To:"), []byte("X-To:"), 1),
		"twice":              compose("x\r\n", "Subject: one", "Subject: two"),
		"signed-before":      compose("x\r\n", with("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=old; h=From; bh=AAAA; b=AAAA")...),
		"header-end":         bytes.Replace(compose("x\r\n", with()...), []byte("Subject: S\r\n\r\n"), []byte("Subject: S\r\nno field\r\n"), 1),
		"big-field":          compose("x\r\n", with("References: "+strings.Repeat("<0123456789@example.org>\r\n\t", 4000)+"<c@d>")...),
		"space-before-colon": compose("x\r\n", with("Reply-To : b@example.org")...),
	}
	setups := []struct {
		name     string
		sevenBit bool
		settings []string // DIR stands for the world's folder
		faults   int      // how many of the messages break
	}{
		{"stock", false, nil, 2},
		{"seven-bit", true, nil, 5},
		{"seven-bit-not-converted", true, []string{"disable_mime_output_conversion = yes"}, 2},
		{"8bitmime-discarded", false, []string{"smtp_discard_ehlo_keywords = 8bitmime, smtputf8"}, 5},
		{"8bitmime-discarded-alone", false, []string{"smtp_discard_ehlo_keywords = 8bitmime"}, 2},
		{"no-line-limit", false, []string{"smtp_line_length_limit = 0"}, 0},
		{"low-line-limit", false, []string{"smtp_line_length_limit = 80"}, 3},
		{"added-fields", false, []string{"always_add_missing_headers = yes", "local_header_rewrite_clients ="}, 2},
		{"nothing-added", false, []string{"local_header_rewrite_clients ="}, 2},
		{"header-checks-before", false, []string{"header_checks = regexp:DIR/subject"}, 2},
		{"header-checks-after", false, []string{"smtp_header_checks = regexp:DIR/subject"}, len(messages)},
		{"header-checks-prepend", false, []string{"smtp_header_checks = regexp:DIR/prepend"}, 2},
		{"body-checks-after", false, []string{"smtp_body_checks = regexp:DIR/hello"}, 3},
		{"generic", false, []string{"smtp_generic_maps = inline:{ a@example.org=b@example.com }"}, len(messages)},
		{"generic-for-others", false, []string{"smtp_generic_maps = inline:{ c@example.org=b@example.com }"}, 2},
		{"milter-checks", false, []string{"milter_header_checks = regexp:DIR/signature"}, len(messages)},
	}
	names := slices.Sorted(maps.Keys(messages))
	for _, setup := range setups {
		t.Run(setup.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if setup.sevenBit {
				w.sink.OfferSevenBit()
			}
			w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
			w.write("subject", "/^Subject:/ REPLACE Subject: changed\n")
			w.write("prepend", "/^Subject:/ PREPEND X-Note: seen\n")
			w.write("hello", "/^hello/ REPLACE goodbye\n")
			w.write("signature", "/^DKIM-Signature:/ REPLACE X-Gone: gone\n")
			w.startDaemon()
			var settings []string
			for _, s := range setup.settings {
				settings = append(settings, strings.ReplaceAll(s, "DIR", w.dir))
			}
			p := w.startPostfix(w.milterAddr(), settings...)
			var sent [][]byte
			for _, name := range names {
				message := append([]byte("Message-ID: <"+name+"@mta.test>\r\n"), messages[name]...)
				p.mustSubmit("a@example.org", "reader@rcpt.test", message)
				sent = append(sent, message)
			}
			args := []string{"--postfix", p.Etc}
			if setup.sevenBit {
				args = append(args, "--seven-bit")
			}
			faults := 0
			for i, said := range w.explainAll(sent, args...) {
				name := names[i]
				if !said.Signed {
					t.Fatalf("%s: explain says %s", name, said.Reason)
				}
				good := w.arrivesGood(w.awaitDelivery(name))
				if good != (len(said.faults()) == 0) {
					t.Errorf("%s: the signature is good: %v, explain says %v", name, good, said.Findings)
				}
				if !good {
					faults++
				}
			}
			if faults != setup.faults {
				t.Errorf("%d messages broke, want %d", faults, setup.faults)
			}
		})
	}
}

// arrivesGood reports whether the message has a signature of example.org with
// selector mail that verifies.
func (w *world) arrivesGood(message []byte) bool {
	w.t.Helper()
	if !bytes.Contains(message, []byte("s=mail;")) {
		return false
	}
	verdicts, err := w.goMsgauth("", [][]byte{message})
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.ContainsFunc(verdicts, func(v verdict) bool { return v.selector == "mail" && v.result == "pass" })
}

// Fields that Postfix adds are there before the milter sees the message.
func TestExplainSaysWhoAddsFrom(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	w.startDaemon()
	p := w.startPostfix(w.milterAddr(), "myorigin = example.org")
	for name, from := range map[string]string{"from-added": "X-From: none", "from-without-domain": "From: root"} {
		message := lines(from, "To: reader@rcpt.test", "Message-ID: <"+name+"@mta.test>", "", "x")
		said := w.explain(message, "--postfix", p.Etc)
		if said.Signed || !slices.ContainsFunc(said.Findings, func(f explainedFinding) bool { return f.Code == "path-"+name }) {
			t.Errorf("%s: explain says %s, %v", name, said.Reason, said.Findings)
		}
		p.mustSubmit("a@example.org", "reader@rcpt.test", message)
		w.mustVerify(w.awaitDelivery(name), want)
	}
}

// Mail that goes through a content filter meets the milter twice, unless one of
// the two ways in says no_milters.
func TestExplainKnowsTheSecondPass(t *testing.T) {
	t.Parallel()
	for _, options := range []string{"", " -o receive_override_options=no_milters"} {
		w, want := newSigningWorld(t)
		w.startDaemon()
		p := w.startPostfix(w.milterAddr(), "content_filter = smtp:["+w.net+".1]:10026")
		if err := errors.Join(p.SetServices(submission+"10026 inet n - n - - smtpd -o content_filter="+options+"\n"), p.Reload()); err != nil {
			t.Fatal(err)
		}
		await(t, "the way back from the filter", func() bool {
			conn, err := net.Dial("tcp", w.net+".1:10026")
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
		message := letter("a@example.org", "filtered")
		said := w.explain(message, "--postfix", p.Etc)
		p.mustSubmit("a@example.org", "reader@rcpt.test", message)
		arrived := w.awaitDelivery("filtered")
		passes := []signature{want}
		if options == "" {
			passes = append(passes, want)
		}
		w.mustVerify(arrived, passes...)
		if len(said.Findings) != 1 || said.Findings[0].Code != "path-content-filter" ||
			strings.Contains(said.Findings[0].Effect, "a second time") != (len(passes) == 2) {
			t.Errorf("with %q explain says %v", options, said.Findings)
		}
	}
}

// Text that is not ASCII in the header makes sendmail(1) ask for SMTPUTF8, and
// the mail comes back where the next hop does not have it.
func TestExplainKnowsSMTPUTF8(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sink.OfferSevenBit()
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	message := bytes.ReplaceAll(letter("a@example.org", "utf8"), []byte("Subject: utf8"), []byte("Subject: \xc3\xbc"))
	said := w.explain(message, "--client=local")
	if len(said.Findings) != 1 || said.Findings[0].Code != "path-8bit-header" {
		t.Errorf("explain says %v", said.Findings)
	}
	sendmail := w.command("sendmail", "-C", p.Etc, "-i", "-f", "a@example.org", "reader@rcpt.test")
	sendmail.Stdin = bytes.NewReader(message)
	if out, err := sendmail.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
	await(t, "the bounce", func() bool { return len(p.Logged("status=bounced", "SMTPUTF8")) > 0 })
}
