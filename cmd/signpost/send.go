package main

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"signpost/keystore/finding"

	"github.com/urfave/cli/v2"
)

func sendCommand() *cli.Command {
	return &cli.Command{
		Name:      "send",
		Usage:     "send a test message and show the dialogue",
		UsageText: "signpost send --from ADDRESS --to ADDRESS [options]\nsignpost send [options] FILE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "server", Value: "localhost:587",
				Usage: "submit to `HOST:PORT`; without a port 587, or 465 with --tls implicit"},
			&cli.StringFlag{Name: "from", Usage: "sender `ADDRESS`; with FILE the default is its From field"},
			&cli.StringSliceFlag{Name: "to",
				Usage: "recipient `ADDRESS`, once or more; with FILE the default is its To, Cc and Bcc fields"},
			&cli.StringFlag{Name: "subject", Usage: "`TEXT` of the Subject field"},
			&cli.StringFlag{Name: "body", Usage: "`TEXT` of the message in place of ours"},
			&cli.StringFlag{Name: "user",
				Usage: "log in as `USER` (SMTP AUTH), with the password in $SIGNPOST_PASSWORD"},
			&cli.StringFlag{Name: "password-file", Usage: "take the password from the first line of `FILE`"},
			&cli.StringFlag{Name: "tls",
				Usage: "`MODE`: starttls, implicit (TLS from the first byte), " +
					"opportunistic (STARTTLS where it is offered) or off",
				DefaultText: "implicit on port 465, starttls with --user, else opportunistic"},
			&cli.StringFlag{Name: "ca", Usage: "trust the certificates in the PEM `FILE`, in place of the system's"},
			&cli.BoolFlag{Name: "insecure", Usage: "do not check the server's certificate"},
			&cli.StringFlag{Name: "helo", Usage: "`NAME` to say in EHLO",
				DefaultText: "the name of this host, or its address"},
			timeoutFlag(time.Minute),
			&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "do not show the dialogue"},
			jsonFlag(),
		},
		Action: send,
	}
}

func send(c *cli.Context) error {
	plan, err := planSending(c)
	if err != nil {
		return err
	}
	result := plan.run(c.Context)
	if c.Bool("json") {
		if err := printJSON(c, result); err != nil {
			return err
		}
		return result.exit()
	}
	return result.print(c)
}

// sending is what is to be done, checked as far as it can be offline.
type sending struct {
	server        string // host:port
	host          string // for the certificate
	from          string
	to            []string
	message       []byte
	user          string
	password      string
	tls           tlsPlan
	helo          string
	timeout       time.Duration
	dialogue      *dialogue
	needsSMTPUTF8 bool
}

func planSending(c *cli.Context) (*sending, error) {
	p := &sending{user: c.String("user"), helo: c.String("helo"), timeout: c.Duration("timeout"),
		dialogue: &dialogue{}}
	if !c.Bool("quiet") && !c.Bool("json") {
		p.dialogue.out, p.dialogue.style = c.App.Writer, styleOf(c)
	}
	var err error
	if p.tls, err = planTLS(c); err != nil {
		return nil, err
	}
	if p.server, p.host, err = serverAddress(c.String("server"), p.tls.mode); err != nil {
		return nil, err
	}
	if p.tls.mode == "" {
		p.tls.mode = defaultTLS(p.server, p.user)
	}
	if strings.ContainsAny(p.helo, " \t\r\n") {
		return nil, usageError("--helo: invalid host name %q", p.helo)
	}
	if err := p.readPassword(c); err != nil {
		return nil, err
	}
	if err := p.readMessage(c); err != nil {
		return nil, err
	}
	return p, nil
}

// serverAddress completes HOST, HOST:PORT, [IPv6] or [IPv6]:PORT.
func serverAddress(text, mode string) (address, host string, err error) {
	host, port, splitErr := net.SplitHostPort(text)
	if splitErr != nil {
		host, port = strings.Trim(text, "[]"), "587"
		if mode == "implicit" {
			port = "465"
		}
	}
	if host == "" || port == "" || strings.ContainsAny(host+port, " \t\r\n/@") ||
		strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", "", finding.WithHint(usageError("--server: invalid server %q", text),
			"write it like mail.example.org:587 or [2001:db8::1]:587")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return "", "", finding.WithHint(usageError("--server: invalid port %q", port),
			"give a number, such as 587, 465 or 25")
	}
	return net.JoinHostPort(host, port), host, nil
}

// passwordOf returns the password from the first line of a file, or without one from the
// environment.
func passwordOf(file string) (string, error) {
	if file == "" {
		return os.Getenv("SIGNPOST_PASSWORD"), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", exitError{exitUsage, fmt.Errorf("--password-file: %w", err)}
	}
	password, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSuffix(password, "\r"), nil
}

// readPassword takes the password from where nobody else sees it: the command
// line is open to all users of a host.
func (p *sending) readPassword(c *cli.Context) error {
	file := c.String("password-file")
	if p.user == "" {
		if file != "" {
			return usageError("--password-file needs --user")
		}
		return nil
	}
	var err error
	if p.password, err = passwordOf(file); err != nil {
		return err
	}
	if p.password == "" {
		return finding.WithHint(usageError("no password for --user %s", p.user),
			"put it into $SIGNPOST_PASSWORD, or into a file for --password-file")
	}
	p.dialogue.hide(p.user, p.password)
	return nil
}

// readMessage takes the message from the file, or writes one.
func (p *sending) readMessage(c *cli.Context) error {
	p.from, p.to = c.String("from"), c.StringSlice("to")
	if c.Args().Present() {
		if c.NArg() > 1 {
			return usageError("one message at a time, not %q too", c.Args().Get(1))
		}
		if c.IsSet("subject") || c.IsSet("body") {
			return finding.WithHint(usageError("--subject and --body are for a generated "+
				"message, not for a file"), "leave out one or the other")
		}
		files, err := inputs(c)
		if err != nil {
			return err
		}
		text, err := readMessage(files[0])
		if err != nil {
			return err
		}
		p.message = text.Wire
		from, to := envelopeOf(text.Fields)
		if !c.IsSet("from") {
			p.from = from
		}
		if !c.IsSet("to") {
			p.to = to
		}
	}
	if p.from == "" && !c.IsSet("from") {
		return finding.WithHint(usageError("who sends it?"), "--from you@example.org")
	}
	if len(p.to) == 0 {
		return finding.WithHint(usageError("to whom?"), "--to somebody@example.net")
	}
	var err error
	if p.from != "" { // the null sender is for bounces
		if p.from, err = p.address("--from", p.from); err != nil {
			return err
		}
	}
	for i := range p.to {
		if p.to[i], err = p.address("--to", p.to[i]); err != nil {
			return err
		}
	}
	if p.message == nil {
		if p.from == "" {
			return finding.WithHint(usageError("a generated message needs a sender"), "--from you@example.org")
		}
		if p.message, err = composeTest(p.from, p.to, c.String("subject"), c.String("body"), time.Now()); err != nil {
			return err
		}
	}
	return nil
}
