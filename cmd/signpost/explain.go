package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/milter"
	"signpost/milter/dkim"
	"signpost/milter/message"
	"signpost/postfix"
	"signpost/postfix/delivery"
)

func explainCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{Name: "client", Value: "127.0.0.1",
			Usage: "`ADDRESS` of the SMTP client, or \"local\" for sendmail(1), or \"unknown\""},
		&cli.StringFlag{Name: "auth", Usage: "the client logged in as `LOGIN` (SMTP AUTH)"},
		&cli.StringFlag{Name: "queue-id", Value: "NOQUEUE", Usage: "queue `ID` for the line in the log"},
		settings.Named("postfix").Flag(),
		&cli.BoolFlag{Name: "seven-bit", Usage: "the next hop takes 7 bits only: it does not offer 8BITMIME"},
		&cli.BoolFlag{Name: "show-signature", Usage: "print the DKIM-Signature fields too"},
		daemonFlag(),
		resolverFlag(),
		timeoutFlag(5 * time.Second),
		jsonFlag(),
	}
	flags = append(flags, settings.Flags(settings.ForSigning())...)
	return &cli.Command{
		Name:      "explain",
		Usage:     "say why a message would or would not be signed, and what would break its signature",
		UsageText: "signpost explain [options] [FILE...]",
		Flags:     flags,
		Action:    explain,
	}
}

// explainer is what all messages of one run share.
type explainer struct {
	signing *settings.Signing
	place   place.Place
	keys    *keystore.Snapshot // of the domains in read, or of all where that is nil
	read    map[string]bool
	shared  *keystore.SharedKeys // nil without any
	config  *postfix.Config
	client  milter.Client
	queueID string
	// sevenBit says that the next hop does not offer 8BITMIME.
	sevenBit bool

	resolver *dns.Resolver
	running  *daemon           // nil: the DNS is asked
	chosen   map[string]chosen // by domain
	domain   string            // the last that a message was decided by
	failed   error             // why who signs is not known
}

func explain(c *cli.Context) error {
	e, err := newExplainer(c)
	if err != nil {
		return err
	}
	files, err := inputs(c)
	if err != nil {
		return err
	}
	var answers []explained
	for _, file := range files {
		text, err := readMessage(file)
		if err != nil {
			return err
		}
		answer, err := e.explain(c, file.Name, text)
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	if c.Bool("json") {
		if err := printJSON(c, explainJSON{answers}); err != nil {
			return err
		}
	} else {
		for i, answer := range answers {
			if i > 0 {
				fmt.Fprintln(c.App.Writer)
			}
			answer.print(c)
		}
	}
	return explainVerdict(answers)
}

// readMessage reads the message in a file. What is not a message is wrong use.
func readMessage(file input) (*message.Text, error) {
	defer file.Close()
	text, err := message.ReadText(file)
	var unreadable *fs.PathError
	switch {
	case errors.As(err, &unreadable):
		return nil, exitError{exitUnknown, fmt.Errorf("reading %s: %w", file.Name, err)}
	case err != nil:
		return nil, exitError{exitUsage, fmt.Errorf("%s: %w", file.Name, err)}
	}
	return text, nil
}

// explainVerdict is the exit code: 1 when a message is not signed or when there
// is a finding.
func explainVerdict(answers []explained) error {
	var all []finding.Finding
	for _, answer := range answers {
		if !answer.Signed {
			return exitCode(exitFinding)
		}
		all = append(all, answer.Findings...)
	}
	return verdictOf(levelsOf(all))
}

func newExplainer(c *cli.Context) (*explainer, error) {
	e := &explainer{queueID: c.String("queue-id"), sevenBit: c.Bool("seven-bit"), chosen: make(map[string]chosen)}
	var err error
	if e.signing, err = settings.ReadSigning(c); err != nil {
		return nil, exitError{exitUsage, err}
	}
	if e.client, err = parseClient(c.String("client"), c.String("auth")); err != nil {
		return nil, exitError{exitUsage, err}
	}
	if e.running, err = openDaemon(c); err != nil {
		return nil, err
	}
	if e.resolver, err = resolverOf(c); err != nil {
		return nil, err
	}
	if e.shared, err = loadShared(c); err != nil {
		return nil, err
	}
	e.place = e.signing.Keys.Place()
	if slices.ContainsFunc(e.signing.Keys.Sources, func(s settings.Source) bool { return s.Backend != nil }) {
		e.keys, e.read = new(keystore.Snapshot), make(map[string]bool)
	} else if e.keys, err = e.place.Load(c.Context); err != nil {
		return nil, exitError{exitUnknown, err}
	}
	if path := c.String("postfix"); path != "" {
		if e.config, err = postfix.ReadConfig(path); err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--postfix: %w", err)}
		}
	} else if e.config, err = postfix.ParseConfig("the defaults of Postfix", nil); err != nil {
		return nil, err
	}
	return e, nil
}

// parseClient reads who hands the message in.
func parseClient(address, login string) (milter.Client, error) {
	client := milter.Client{Login: login}
	switch address {
	case "local":
		client.Local = true
		return client, nil
	case "unknown", "":
		return client, nil
	}
	plain := strings.TrimPrefix(strings.Trim(address, "[]"), "IPv6:")
	addr, err := netip.ParseAddr(plain)
	if err != nil {
		return client, finding.WithHint(fmt.Errorf("--client: invalid IP address %q", address),
			"give an address like 192.0.2.1 or 2001:db8::1, or local for sendmail(1)")
	}
	client.Addr = addr
	return client, nil
}

// explain lets the daemon's own code decide on a message and sign it.
func (e *explainer) explain(c *cli.Context, name string, text *message.Text) (explained, error) {
	var log bytes.Buffer
	server, err := milter.NewServer(milter.Config{
		Keys:   e.signers(c.Context),
		Policy: e.signing.Policy,
		Rules:  e.signing.Rules,
		Limits: milter.Limits{HeaderBytes: e.signing.HeaderBytes},
		Log:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	})
	if err != nil {
		return explained{}, err
	}
	mail := delivery.Mail{Body: text.Body, BodyLine: text.BodyLine, Local: e.client.Local, SevenBit: e.sevenBit,
		RelaxedHeader: e.signing.Policy.Header == dkim.Relaxed, RelaxedBody: e.signing.Policy.Body == dkim.Relaxed}
	var header []dkim.Field
	for _, f := range text.Fields {
		// Postfix takes blanks before the colon away (RFC 5322, section 4.5).
		f.Name = strings.TrimRight(f.Name, " \t")
		header = append(header, f.Field)
		mail.Header = append(mail.Header, delivery.Field{Name: f.Name, Value: f.Value, Line: f.Line})
	}
	// Postfix makes a bare LF a line end before the milter sees it.
	body := []byte(crlf(string(text.Body)))
	e.domain = ""
	client, bounce := e.client, mail.IsBounce()
	if bounce && !c.IsSet("client") && client.Login == "" {
		client, mail.Local = milter.Client{Local: true}, true // Postfix makes it
	}
	client.Notice = bounce && client.Local
	verdict, values := server.Try(client, header, body, e.queueID)
	if e.failed != nil {
		return explained{}, e.failed
	}
	how := e.chosen[e.domain]
	answer := explained{
		File:       name,
		Signed:     verdict.Reason == milter.Signed,
		TempFail:   verdict.Action == milter.TempFail,
		Rejected:   verdict.Action == milter.Reject,
		Reason:     string(verdict.Reason),
		Author:     verdict.Author,
		Log:        strings.TrimSpace(log.String()),
		Postfix:    e.config.Path,
		Signatures: []explainedSignature{},
		Keys:       append([]explainedKey{}, how.keys...),
		Findings:   append([]finding.Finding{}, how.findings...),
	}
	reason := explainReason(verdict, client, e.signing, e.keys)
	answer.Why, answer.Hint = reason.why, reason.hint
	if reason.setting != "" {
		setting := settings.Named(reason.setting)
		value := setting.Value(c)
		from := value.From
		if from == "--"+setting.Name && !c.IsSet(setting.Name) {
			from = "default"
		}
		if setting.Name == "keys" {
			value.Text = settings.WithoutPasswords(value.Text)
		}
		answer.Setting = &explainedSetting{"--" + setting.Name, setting.Variables, value.Text, from}
	}
	for i, value := range values {
		s := newExplainedSignature(verdict.Keys[i], value, mail.Header)
		answer.Signatures = append(answer.Signatures, s)
		mail.Signed = append(mail.Signed, s.names...)
		mail.Domains = append(mail.Domains, s.Domain)
	}
	mail.Signatures = values
	answer.Findings = append(answer.Findings, text.Findings...)
	answer.Findings = append(answer.Findings, delivery.Predict(c.Context, e.config, mail)...)
	return answer, nil
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}
