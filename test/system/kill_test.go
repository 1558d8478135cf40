package system

import (
	"errors"
	"io"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/test/lab"
)

// The daemon is killed in mid-stream, again and again. Nothing leaves
// unsigned, and everything arrives in the end.
func TestKilledInMidStream(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(4, "example.org")
	for range 3 {
		s.awaitMore(10)
		d.kill(syscall.SIGKILL)
		s.awaitRefusals(4)
		d = w.startDaemon()
	}
	s.awaitMore(10)
	all, _ := s.finish()
	w.mustVerifyAll(allSignedBy(of(all, "example.org"), want))
}

// The daemon hangs in mid-stream. Postfix defers what gets no answer, the health check fails,
// and when the daemon goes on, so does the mail. Nothing leaves unsigned or is lost.
func TestHangsInMidStream(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon()
	t.Cleanup(func() { d.cmd.Process.Signal(syscall.SIGCONT) })
	p := w.startPostfix(w.milterAddr(), "milter_connect_timeout=1s", "milter_command_timeout=1s", "milter_content_timeout=1s")
	s := p.startStream(4, "example.org")
	s.awaitMore(10)
	d.signal(syscall.SIGSTOP)
	s.awaitRefusals(8)
	accepted, _ := s.counts()
	health := w.command(lab.Programs()+"/signpost", "health", "--socket", w.milterAddr(), "--keys", w.keys, "--timeout=1s")
	if out, err := health.CombinedOutput(); err == nil || !strings.Contains(string(out), "i/o timeout") {
		t.Errorf("signpostd hangs, and health says: %v\n%s", err, out)
	}
	s.awaitRefusals(4)
	if now, _ := s.counts(); now != accepted {
		t.Errorf("%d messages were accepted while signpostd hung", now-accepted)
	}
	d.signal(syscall.SIGCONT)
	s.awaitMore(10)
	all, refused := s.finish()
	for _, r := range refused {
		var reply *textproto.Error
		if !errors.As(r.err, &reply) || reply.Code != 451 {
			t.Errorf("%s: not deferred but %v", r.id, r.err)
		}
	}
	if signed := len(d.logged("DKIM-Signature field added")); signed < len(all) {
		t.Errorf("%d messages arrived, and signpostd signed %d", len(all), signed)
	}
	w.mustVerifyAll(allSignedBy(of(all, "example.org"), want))
	t.Logf("%d accepted and received, %d deferrals", len(all), len(refused))
}

// The daemon is told to stop in mid-stream. What is in flight then, from MAIL
// on, is signed and accepted: Postfix sees no error but that it cannot begin
// anew.
func TestStoppedInMidStream(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon("--drain-timeout=60s")
	p := w.startPostfix(w.milterAddr())
	s := p.startStream(3, "example.org")
	stages := []string{"MAIL", "RCPT", "DATA"}
	for _, stage := range stages {
		s.awaitMore(10)
		held, err := p.dial()
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		steps := map[string]func() error{
			"MAIL": func() error { _, err := held.command(250, "MAIL FROM:<a@example.org>"); return err },
			"RCPT": func() error { _, err := held.command(250, "RCPT TO:<reader@rcpt.test>"); return err },
			"DATA": func() error { _, err := held.command(354, "DATA"); return err },
		}
		at := slices.Index(stages, stage) + 1
		for _, step := range stages[:at] {
			if err := steps[step](); err != nil {
				t.Fatal(err)
			}
		}
		idle := attackConn(t, w.net+".8:8891")
		idle.Write(lab.Offer())

		d.signal(syscall.SIGTERM)
		s.awaitRefusals(3)
		// As soon as the idle connection is closed, so are all that the daemon
		// takes for idle.
		idle.SetDeadline(time.Now().Add(patience))
		if _, err := io.Copy(io.Discard, idle); isTimeout(err) {
			t.Error("idle connection stays open after SIGTERM")
		}
		for _, step := range stages[at:] {
			if err := steps[step](); err != nil {
				t.Fatalf("message in flight at SIGTERM, after %s: %v", stage, err)
			}
		}
		if _, err := held.finish(letter("a@example.org", "held-"+stage)); err != nil {
			t.Fatalf("message in flight at SIGTERM, after %s: %v", stage, err)
		}
		await(t, "the daemon to end", d.ended)
		if !d.cmd.ProcessState.Success() {
			t.Errorf("signpostd ended with %v", d.cmd.ProcessState)
		}
		d = w.startDaemon("--drain-timeout=60s")
	}
	s.awaitMore(10)
	s.end()
	for _, r := range s.refused {
		if r.inFlight {
			t.Errorf("%s was in flight and refused: %v", r.id, r.err)
		}
	}
	inFlight := regexp.MustCompile(`milter-reject: (RCPT|DATA|END-OF-MESSAGE)|SMFIC_(RCPT|DATA|HEADER|EOH|BODY)`)
	for _, line := range p.Logged("milter") {
		if inFlight.MatchString(line) {
			t.Errorf("Postfix saw a milter error: %s", line)
		}
	}
	await(t, "everything to arrive", func() bool { return len(w.sink.All()) == len(s.accepted)+len(stages) })
	var messages []signedMessage
	for _, m := range w.sink.All() {
		messages = append(messages, signedMessage{m.Data, []signature{want}})
	}
	w.mustVerifyAll(messages)
}
