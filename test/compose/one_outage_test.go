package compose_test

import (
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// signpostd dies under a stream of mail, three times, and then the container is stopped. Postfix
// defers what it cannot have signed, and its client tries again: all that was accepted arrives,
// and all that arrives is signed.
func TestOneContainerOutage(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	s.run("-v", s.name+":/var/spool/postfix")
	for name, value := range printedRecords(s.logs()) {
		s.zone.PublishTXT(name, value)
	}
	sent := make(chan sending, 1)
	go func() { sent <- stream(s.submission()) }()
	arrived := func() int { return len(s.sink.All()) }
	for range 3 {
		before := arrived()
		s.until("mail flows", func() bool { return arrived() > before+3 })
		old := s.signpostd()
		s.docker("exec", s.name, "sh", "-c", "kill -KILL "+old)
		s.until("another signpostd runs", func() bool { now := s.signpostd(); return now != "" && now != old })
	}
	before := arrived()
	s.until("mail flows again", func() bool { return arrived() > before+3 })
	if logs := s.logs(); strings.Count(logs, "signpostd ended with exit code 137 and starts again in") != 3 {
		t.Errorf("the log does not tell of three ends:\n%s", logs)
	}
	if code, logs := s.ends("stop"); code != 0 || !strings.Contains(logs, "msg=stopped signed=") {
		t.Errorf("after docker stop the container ended with %d:\n%s", code, logs[max(0, len(logs)-3000):])
	}
	result := <-sent
	if result.deferred == 0 {
		t.Errorf("451 was never seen, and then: %v", result.err)
	}

	s.run("-v", s.name+":/var/spool/postfix")
	s.docker("exec", s.name, "postqueue", "-f")
	for _, id := range result.accepted {
		s.arrives(id)
	}
	for _, d := range s.sink.All() {
		s.isSigned(d)
	}
	t.Logf("%d messages accepted, %d deferrals, %d received", len(result.accepted), result.deferred, arrived())

	// The end of Postfix is the end of the container, whose exit code says so.
	if code, logs := s.ends("exec", "sh", "-c", "kill -KILL $(cat /var/spool/postfix/pid/master.pid)"); code != 137 {
		t.Errorf("without Postfix the container ended with %d:\n%s", code, logs[max(0, len(logs)-3000):])
	}
}

// A sending is what a stream of messages came to.
type sending struct {
	accepted []string // the Message-ID of each
	deferred int      // answers 451
	err      error    // that ended it
}

// stream sends a message after the other, each as often as it is deferred, until the server has
// gone.
func stream(server string) (result sending) {
	for n := 0; ; {
		id := fmt.Sprintf("<%d.stream@feedsubscription.com>", n)
		time.Sleep(20 * time.Millisecond)
		err := handIn(server, id)
		var reply *textproto.Error
		switch {
		case err == nil:
			result.accepted = append(result.accepted, id)
			n++
		case errors.As(err, &reply) && reply.Code == 451:
			result.deferred++
		default:
			result.err = err
			return result
		}
	}
}

// handIn sends one message in a session of its own.
func handIn(server, id string) error {
	client, err := smtp.Dial(server)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := errors.Join(client.Mail("news@feedsubscription.com"), client.Rcpt("to@reader.example")); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(data, "From: news@feedsubscription.com\r\nMessage-ID: %s\r\n\r\nhello\r\n", id)
	return data.Close()
}
