package compose_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"signpost/test/lab"
	"signpost/test/lab/nameserver"
)

// A single is one container that does all, with its own network, name server and next mail
// server, which receives for reader.example.
type single struct {
	*project
	args    []string // of docker run, beside what the blog post has
	gateway string   // of the network: the name server and the next mail server
	zone    *nameserver.Zone
	sink    *lab.Sink
	client  *exec.Cmd // docker run
}

// newAlone prepares a container without a network.
func newAlone(t *testing.T) *project {
	t.Helper()
	found, err := findEngine()
	if err != nil {
		t.Fatal(err)
	}
	return &project{engine: found, t: t, dir: t.TempDir(), name: fmt.Sprintf("signpost-one-%d-%d", os.Getpid(), time.Now().UnixNano())}
}

// newSingle makes what is around the container. Everything that comes of it is gone after the
// test.
func newSingle(t *testing.T) *single {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("receiving mail at port 25 needs root")
	}
	s := &single{project: newAlone(t)}
	s.docker("network", "create", s.name)
	t.Cleanup(func() {
		s.remove()
		s.docker("network", "rm", s.name)
		s.command(s.engine.docker, "volume", "rm", "-f", s.name).Run()
		// Its files belong to users of the container.
		s.docker("run", "--rm", "--network", "none", "-v", s.dir+":/dir", "--entrypoint", "rm", "signpost-postfix",
			"-rf", "/dir/opendkim-keys")
	})
	s.gateway = s.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", s.name)
	s.zone = nameserver.NewZone(t, "$ORIGIN reader.example.\n@ MX 10 mx\nmx A "+s.gateway)
	server, err := nameserver.Start(s.gateway+":53", s.zone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if s.sink, err = lab.StartSink(s.gateway + ":25"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sink.Stop)
	s.write("resolv.conf", "nameserver "+s.gateway+"\n")
	s.args = []string{"--network", s.name, "--dns", s.gateway}
	return s
}

// run starts the container with the command of the blog post, with one word changed, and waits
// until Postfix greets.
func (s *single) run(more ...string) {
	s.t.Helper()
	args := append([]string{"run", "--rm", "--name", s.name}, s.args...)
	args = append(args, more...)
	s.client = s.command(s.engine.docker, append(args, strings.Fields("-v "+s.dir+"/opendkim-keys:/etc/opendkim/keys "+
		"-e ALLOWED_SENDER_DOMAINS=feedsubscription.com -e DKIM_AUTOGENERATE=yes -e INBOUND_DEBUGGING=yes "+
		"-p 127.0.0.1::587 signpost-postfix")...)...)
	terminal, err := os.Create(filepath.Join(s.dir, "terminal"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer terminal.Close()
	s.client.Stdout, s.client.Stderr = terminal, terminal
	if err := s.client.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.until("Postfix greets", func() bool {
		address, err := s.command(s.engine.docker, "port", s.name, "587").Output()
		return err == nil && greets(strings.TrimSpace(string(address)))
	})
}

// ends has the container end by docker stop or, with exec, by a command inside, and returns its
// exit code and what was on the terminal.
func (s *single) ends(how string, command ...string) (code int, terminal string) {
	s.t.Helper()
	s.docker(append([]string{how, s.name}, command...)...)
	s.client.Wait() // an exit code is no surprise
	out, err := os.ReadFile(filepath.Join(s.dir, "terminal"))
	if err != nil {
		s.t.Fatal(err)
	}
	return s.client.ProcessState.ExitCode(), string(out)
}

// remove removes the container, if there is one.
func (s *single) remove() {
	s.command(s.engine.docker, "rm", "-f", s.name).Run()
	if s.client != nil {
		s.client.Wait()
	}
}

func (s *single) logs() string { return s.docker("logs", s.name) }

// submission is where it takes mail.
func (s *single) submission() string {
	s.t.Helper()
	port := s.inspect(s.name, `{{(index .NetworkSettings.Ports "587/tcp" 0).HostPort}}`)
	return net.JoinHostPort("127.0.0.1", port)
}

// ssmtp hands in a message as the blog post does.
func (s *single) ssmtp(to, message string) string {
	s.t.Helper()
	program, err := filepath.Abs("../../build/ssmtp/usr/sbin/ssmtp")
	if err != nil {
		s.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(s.submission())
	s.write("ssmtp.conf", "mailhub=localhost:"+port+"\nFromLineOverride=YES\n")
	s.write("email.txt", message)
	return s.output(s.command("sh", "-c", `exec "$0" -C ssmtp.conf -vvv "$1" <email.txt`, program, to))
}

// arrives returns the message with the text once it has been received.
func (s *single) arrives(text string) lab.Delivery {
	s.t.Helper()
	s.until(text+" arrives", func() bool { return len(s.sink.Find(text)) > 0 })
	return s.sink.Find(text)[0]
}

// The blog post, start to end: its command, its program, the records as the log has them, and
// what the receiver makes of the mail.
func TestOneContainer(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	began := time.Now()
	s.run("-p", "127.0.0.1::8890")
	first := s.logs()
	for name, value := range printedRecords(first) {
		s.zone.PublishTXT(name, value)
	}
	address := s.inspect(s.name, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
	s.zone.Publish(t, "feedsubscription.com.", "@ MX 10 mail\nmail A "+address)

	dialogue := s.ssmtp("to@reader.example", "From: News <news@feedsubscription.com>\nTo: to@reader.example\nSubject: first\n\nHello!\n")
	if !strings.Contains(dialogue, "[->] RCPT TO:<to@reader.example>") || !strings.Contains(dialogue, "[<-] 250 2.0.0 Ok: queued as") {
		t.Errorf("ssmtp says:\n%s", dialogue)
	}
	delivery := s.arrives("Subject: first")
	t.Logf("received %v after docker run", time.Since(began).Round(10*time.Millisecond))
	s.verifies(delivery)
	s.passesPolicy(delivery, address)
	s.signsBounces()

	for _, want := range []string{"unknown[" + s.gateway + "]: RCPT TO:<to@reader.example>", "]: 250 2.0.0 Ok: queued as ",
		": DKIM-Signature field added (s=mail, d=feedsubscription.com)", "status=sent "} {
		s.until("docker logs has "+want, func() bool { return strings.Contains(s.logs(), want) })
	}
	if !strings.Contains(first, "-p 127.0.0.1:8890:8890 publishes it as http://127.0.0.1:8890/") {
		t.Errorf("the log does not say where the status page is:\n%s", first)
	}
	s.showsPage()
	s.keysAreAs("opendkim-keys 755 101:104", "feedsubscription.com.private 400 101:104", "feedsubscription.com.txt 644 101:104")
	s.isLockedIn()
	s.reapsZombies()
	s.until("it is healthy", func() bool { return s.inspect(s.name, "{{.State.Health.Status}}") == "healthy" })
	s.watchesBoth()
}

// signsBounces: Postfix's own mail is of a domain that has a key, whatever the container is
// called. Only sendmail(1) takes mail for a domain that does not exist.
func (s *single) signsBounces() {
	s.t.Helper()
	mail := s.command(s.engine.docker, "exec", "-i", s.name, "sendmail", "-f", "to@reader.example", "nobody@nowhere.example")
	mail.Stdin = strings.NewReader("From: news@feedsubscription.com\nSubject: comes back\n\nHello!\n")
	s.output(mail)
	bounce := s.arrives("Subject: Undelivered Mail Returned to Sender")
	if from := "\r\nFrom: Mail Delivery System <MAILER-DAEMON@feedsubscription.com>\r\n"; bounce.From != "" || !bytes.Contains(bounce.Data, []byte(from)) {
		s.t.Errorf("a bounce with the sender %q:\n%s", bounce.From, bounce.Data)
	}
	s.verifies(bounce)
}

// printedRecords takes the records out of a log.
func printedRecords(log string) map[string]string {
	records := make(map[string]string)
	for _, found := range regexp.MustCompile(`(?m)^# host \S+ \(whole name (\S+)\), type TXT, .*\n(.+)$`).FindAllStringSubmatch(log, -1) {
		records[found[1]] = found[2]
	}
	return records
}

func (s *single) showsPage() {
	s.t.Helper()
	port := s.inspect(s.name, `{{(index .NetworkSettings.Ports "8890/tcp" 0).HostPort}}`)
	response, err := http.Get("http://127.0.0.1:" + port + "/")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || !bytes.Contains(body, []byte("feedsubscription.com")) {
		s.t.Errorf("the status page: %v\n%s", err, body)
	}
}

// keysAreAs compares name, mode and owner of the key directory and of what is in it.
func (s *single) keysAreAs(want ...string) {
	s.t.Helper()
	got := s.output(s.command("sh", "-c", "stat -c '%n %a %u:%g' opendkim-keys && cd opendkim-keys && "+
		"find . -type f | sort | cut -c3- | xargs stat -c '%n %a %u:%g'"))
	if got != strings.Join(want, "\n") {
		s.t.Errorf("the key directory has\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// isLockedIn looks at the process that signs.
func (s *single) isLockedIn() {
	s.t.Helper()
	status := s.docker("exec", s.name, "grep", "-E", "^(Uid|Gid|Groups|Cap...|NoNewPrivs):", "/proc/"+s.signpostd()+"/status")
	for _, want := range []string{`Uid:(\t101){4}`, `Gid:(\t104){4}`, `Groups:\t *`,
		`CapInh:\t0+`, `CapPrm:\t0+`, `CapEff:\t0+`, `CapAmb:\t0+`, `NoNewPrivs:\t1`} {
		if !regexp.MustCompile(`(?m)^` + want + `$`).MatchString(status) {
			s.t.Errorf("signpostd has no %q in\n%s", want, status)
		}
	}
}

// signpostd is its process id in the container, or "" while it does not run.
func (s *single) signpostd() string {
	s.t.Helper()
	return s.docker("exec", s.name, "sh", "-c", `grep -lx signpostd /proc/[0-9]*/comm 2>/dev/null | cut -d/ -f3`)
}

// watchesBoth: the health check fails while either does not answer, and logs nothing.
func (s *single) watchesBoth() {
	s.t.Helper()
	healthy := func() bool { return s.command(s.engine.docker, "exec", s.name, "postfix-health").Run() == nil }
	s.until("a health check that logs nothing", func() bool { before := s.logs(); return healthy() && s.logs() == before })
	signal := func(name, process string) { s.docker("exec", s.name, "sh", "-c", "kill -"+name+" "+process) }
	postfix := "$(cat /var/spool/postfix/pid/master.pid) $(grep -l '^smtpd' /proc/[0-9]*/comm | cut -d/ -f3)"
	for _, process := range []string{s.signpostd(), postfix} {
		signal("STOP", process)
		if healthy() {
			s.t.Errorf("healthy, and %s hangs", process)
		}
		signal("CONT", process)
		s.until("it is healthy again", healthy)
	}
}

// reapsZombies: what a health check or docker exec leaves behind falls to process 1.
func (s *single) reapsZombies() {
	s.t.Helper()
	s.docker("exec", s.name, "sh", "-c", "(sleep 0.1 & sleep 0.1 &); (sleep 0.2 &)")
	s.until("no process is left behind", func() bool {
		out := s.docker("exec", s.name, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null || :")
		return !strings.Contains(out, "(sleep)")
	})
}

// A receiver is down, the container is removed, and one made again with the same queue: the
// mail arrives, signed, and nothing is printed for the second time.
func TestOneContainerKeepsItsQueue(t *testing.T) {
	t.Parallel()
	s := newSingle(t)
	s.sink.RefuseAll(true)
	// A container's own name may be a number, and a variable of the image may be taken out.
	s.run("-v", s.name+":/var/spool/postfix", "--hostname", "123456789012", "-e", "SIGNPOST_HTTP")
	records := printedRecords(s.logs())
	if len(records) != 3 {
		t.Fatalf("printed: %v", records)
	}
	for name, value := range records {
		s.zone.PublishTXT(name, value)
	}
	s.ssmtp("to@reader.example", "From: news@feedsubscription.com\nSubject: waits\n\nHello!\n")
	s.until("the receiver has deferred it", func() bool { return s.sink.Deferrals() > 0 })
	if _, terminal := s.ends("stop"); !strings.HasSuffix(terminal, "messages that wait in the volume /var/spool/postfix: 1\n") {
		t.Errorf("the last lines do not tell of a message that waits:\n%s", terminal[max(0, len(terminal)-1000):])
	}
	s.sink.RefuseAll(false)
	s.run("-v", s.name+":/var/spool/postfix")
	s.docker("exec", s.name, "postqueue", "-f")
	s.verifies(s.arrives("Subject: waits"))
	if again := printedRecords(s.logs()); len(again) > 0 {
		t.Errorf("printed again: %v", again)
	}
}

// What will not get better ends the container at once, and says why.
func TestOneContainerWrongSettings(t *testing.T) {
	t.Parallel()
	s := newAlone(t)
	for _, wrong := range []struct {
		option, value string
		code          int
		want          string
	}{
		{"-e", "SIGNPOST_CANONICALIZATION=loose", 2, `signpostd: error: SIGNPOST_CANONICALIZATION: `},
		{"-e", "ALLOWED_SENDER_DOMAINS=", 2, `signpost: error: ALLOWED_SENDER_DOMAINS is not set`},
		{"--cap-drop", "ALL", 127, `hint: leave the container the capabilities SETUID and SETGID`},
	} {
		out, err := s.command(s.engine.docker, "run", "--rm", "--network", "none", "-e", "ALLOWED_SENDER_DOMAINS=example.org",
			"-e", "DKIM_AUTOGENERATE=yes", wrong.option, wrong.value, "signpost-postfix").CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != wrong.code || !strings.Contains(string(out), wrong.want) {
			t.Errorf("%s %s: %v, want exit code %d and %s in\n%s", wrong.option, wrong.value, err, wrong.code, wrong.want, out)
		}
	}
}

// greets reports whether an SMTP server greets.
func greets(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	greeting := make([]byte, 4)
	_, err = io.ReadFull(conn, greeting)
	return err == nil && string(greeting) == "220 "
}
