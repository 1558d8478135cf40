package main

import (
	"fmt"
	"net"
	"os/exec"
	"time"

	"signpost/test/lab"
)

// A postfix is a private Postfix instance that throws away what it takes, with
// a port for each milter. Mail to proof.test it delivers, to be looked at.
type postfix struct {
	*lab.Postfix
	ports map[string]string // address by milter
	sink  *lab.Sink
}

// noMilter is the name of the port without one.
const noMilter = "no milter"

// startPostfix runs a Postfix with a port without milter, and one for each of
// the sockets.
func (b *bench) startPostfix(milters map[string]socket) (*postfix, error) {
	dir, err := b.folder("postfix")
	if err != nil {
		return nil, err
	}
	notations := map[string]string{noMilter: ""}
	for name, s := range milters {
		notations[name] = s.milter()
	}
	p := &postfix{ports: make(map[string]string)}
	services := ""
	for name, milter := range notations {
		s, err := freePort()
		if err != nil {
			return nil, err
		}
		p.ports[name] = s.address
		services += fmt.Sprintf("%s inet n - n - - smtpd\n  -o smtpd_milters=%s\n", s.address, milter)
	}
	if p.sink, err = lab.StartSink("127.0.0.1:0"); err != nil {
		return nil, err
	}
	p.Postfix, err = lab.StartPostfix(dir+"/instance", exec.Command, services,
		"smtpd_client_connection_count_limit = 0",
		"in_flow_delay = 0",
		"default_transport = discard",
		fmt.Sprintf("transport_maps = inline:{proof.test=smtp:[127.0.0.1]:%d}", p.sink.Addr().Port))
	if err != nil {
		p.sink.Stop()
		return nil, err
	}
	return p, nil
}

func (p *postfix) stop() {
	p.Stop()
	p.sink.Stop()
}

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
func (p *postfix) said(text string) string {
	lines := p.Logged(text)
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}

// awaitPort waits until Postfix takes mail.
func (p *postfix) awaitPort(milter string) error {
	var err error
	if lab.Wait(30*time.Second, func() bool {
		var conn net.Conn
		if conn, err = net.Dial("tcp", p.ports[milter]); err == nil {
			conn.Close()
		}
		return err == nil
	}) {
		return nil
	}
	return fmt.Errorf("no mail is taken by Postfix: %w: %s", err, p.said("fatal"))
}
