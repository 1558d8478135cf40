package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A postfix is a private Postfix instance that throws away what it takes, with
// a port for each milter. Mail to proof.test it delivers, to be looked at.
type postfix struct {
	etc, queue, log string

	ports map[string]string // address by milter
	sink  *process
	dump  string // folder of what the sink received
}

// noMilter is the name of the port without one.
const noMilter = "no milter"

// startPostfix runs a Postfix with a port without milter, and one for each of
// the sockets.
func (b *bench) startPostfix(milters map[string]socket) (*postfix, error) {
	base, err := b.folder("postfix")
	if err != nil {
		return nil, err
	}
	p := &postfix{etc: base + "/etc", log: base + "/mail.log", dump: base + "/dump", ports: make(map[string]string)}
	p.queue = base + "/queue"
	for _, dir := range []string{p.etc, p.queue, base + "/data"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command("chown", "postfix", base+"/data").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("chown: %w %s", err, out)
	}
	sink, err := freePort()
	if err != nil {
		return nil, err
	}
	services := ""
	add := func(name, milter string) error {
		s, err := freePort()
		if err != nil {
			return err
		}
		p.ports[name] = s.address
		services += fmt.Sprintf("%s inet n - n - - smtpd\n  -o smtpd_milters=%s\n", s.address, milter)
		return nil
	}
	if err := add(noMilter, ""); err != nil {
		return nil, err
	}
	for name, s := range milters {
		if err := add(name, s.milter()); err != nil {
			return nil, err
		}
	}
	mainCF := p.etc + "/main.cf"
	err = writeLines(mainCF,
		"compatibility_level = 3.6",
		"config_directory = "+p.etc,
		"queue_directory = "+p.queue,
		"data_directory = "+base+"/data",
		"maillog_file = "+p.log,
		"maillog_file_prefixes = "+base,
		"myhostname = mta.test",
		"mydestination =",
		"alias_maps =",
		"alias_database =",
		"local_recipient_maps =",
		"local_transport = error:local delivery is disabled",
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4",
		"mynetworks = 127.0.0.0/8",
		"smtpd_relay_restrictions = permit_mynetworks, reject",
		"smtpd_client_connection_count_limit = 0",
		"milter_default_action = tempfail",
		"smtp_tls_security_level = none",
		"in_flow_delay = 0",
		"default_transport = discard",
		"transport_maps = inline:{proof.test=smtp:["+strings.Replace(sink.address, ":", "]:", 1)+"}")
	if err != nil {
		return nil, err
	}
	// Postfix waits seconds for a main.cf that was changed just now.
	past := time.Now().Add(-time.Hour)
	if err := os.Chtimes(mainCF, past, past); err != nil {
		return nil, err
	}
	if err := os.WriteFile(p.etc+"/master.cf", []byte(services+masterCF), 0o644); err != nil {
		return nil, err
	}
	p.sink, err = startProcess(base+"/sink.log", "smtp-sink", "-u", "root", "-d", p.dump+"/%S", sink.address, "100")
	if err != nil {
		return nil, err
	}
	if out, err := exec.Command("postfix", "-c", p.etc, "start").CombinedOutput(); err != nil {
		p.sink.stop()
		return nil, fmt.Errorf("postfix start: %w: %s", err, out)
	}
	return p, nil
}

func (p *postfix) stop() {
	exec.Command("postfix", "-c", p.etc, "abort").Run()
	p.sink.stop()
}

// masterCF is the stock list of services that are needed, none of them in a chroot.
const masterCF = `
pickup     unix       n - n 60    1 pickup
cleanup    unix       n - n -     0 cleanup
qmgr       unix       n - n 300   1 qmgr
tlsmgr     unix       - - n 1000? 1 tlsmgr
rewrite    unix       - - n -     - trivial-rewrite
bounce     unix       - - n -     0 bounce
defer      unix       - - n -     0 bounce
trace      unix       - - n -     0 bounce
verify     unix       - - n -     1 verify
flush      unix       n - n 1000? 0 flush
proxymap   unix       - - n -     - proxymap
smtp       unix       - - n -     - smtp
showq      unix       n - n -     - showq
error      unix       - - n -     - error
retry      unix       - - n -     - error
discard    unix       - - n -     - discard
anvil      unix       - - n -     1 anvil
postlog    unix-dgram n - n -     1 postlogd
`

// source sends messages of 4 KiB over ten sessions.
func (p *postfix) source(milter, to string, messages int, manyPerSession bool) (time.Duration, error) {
	const sessions = 10
	args := []string{"-s", fmt.Sprint(min(sessions, messages)), "-l", "4096", "-m", fmt.Sprint(messages),
		"-f", "bounces@" + domainMark, "-t", to}
	if manyPerSession {
		args = append(args, "-d")
	}
	start := time.Now()
	out, err := exec.Command("smtp-source", append(args, p.ports[milter])...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("smtp-source: %w: %s; Postfix says: %s", err, out, p.said("warning"))
	}
	return time.Since(start), nil
}

// said is the last line of the log that contains the text.
func (p *postfix) said(text string) (found string) {
	content, _ := os.ReadFile(p.log)
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, text) {
			found = strings.TrimSpace(line)
		}
	}
	return found
}

// awaitPort waits until Postfix takes mail.
func (p *postfix) awaitPort(milter string) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.ports[milter])
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no mail is taken by Postfix: %w: %s", err, p.said("fatal"))
		}
	}
}
