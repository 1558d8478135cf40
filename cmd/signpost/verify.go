package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/milter/verify"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "say what a receiver would say of a message",
		UsageText: `signpost verify [options] [FILE...]
signpost verify --keys DIR|--record FILE [options] [FILE...]`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "ip", Usage: "the client had this `ADDRESS`, in place of what Received tells"},
			&cli.StringFlag{Name: "helo", Usage: "the client called itself `NAME`"},
			&cli.StringFlag{Name: "mail-from",
				Usage: "MAIL FROM was `ADDRESS`, in place of Return-Path; \"<>\" is a bounce"},
			&cli.StringFlag{Name: "keys", Usage: "take the keys in `DIR` as published, and ask no DNS"},
			selectorFlag(),
			&cli.StringFlag{Name: "record", Usage: "take the records in `FILE` as published, and ask no DNS"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the record in --record, when the file does not say it"},
			resolverFlag(),
			&cli.StringFlag{Name: "time", Usage: "verify as of `TIME`, such as 2026-11-22 or 2026-11-22T20:00:00Z"},
			&cli.StringFlag{Name: "authserv-id",
				Usage: "`NAME` of the receiver in Authentication-Results; else this host's"},
			timeoutFlag(20 * time.Second),
			jsonFlag(),
		},
		Action: verifyMessage,
	}
}

func verifyMessage(c *cli.Context) error {
	options, err := verifyOptions(c)
	if err != nil {
		return err
	}
	server := c.String("authserv-id")
	if server == "" {
		if server, err = os.Hostname(); err != nil {
			server = "localhost"
		}
	}
	if strings.ContainsAny(server, " \t\r\n;\"()") {
		return finding.WithHint(usageError("--authserv-id: invalid server name %q", server),
			"give it as mx.example.org")
	}
	files, err := inputs(c)
	if err != nil {
		return err
	}
	worst := 0
	answers := []verifyAnswer{}
	for i, file := range files {
		judgement, err := judgeFile(c, file, options)
		if err != nil {
			printError(c.App.ErrWriter, "error", fmt.Errorf("%s: %w", file.Name, err))
			worst = exitFinding
			continue
		}
		answer := newVerifyAnswer(file.Name, judgement, server)
		answers = append(answers, answer)
		if !c.Bool("json") {
			if i > 0 {
				fmt.Fprintln(c.App.Writer)
			}
			printVerify(c, answer, judgement, len(files) > 1)
		}
		if good, unknown := judgement.Good(); !good && worst != exitFinding {
			worst = exitFinding
			if unknown {
				worst = exitUnknown
			}
		}
	}
	if c.Bool("json") {
		if err := printJSON(c, verifyJSON{answers}); err != nil {
			return err
		}
	}
	if worst != 0 {
		return exitCode(worst)
	}
	return nil
}

func judgeFile(c *cli.Context, file input, options verify.Options) (*verify.Judgement, error) {
	defer file.Close()
	message, err := verify.Read(file)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	return message.Judge(ctx, options), nil
}

func verifyOptions(c *cli.Context) (verify.Options, error) {
	options := verify.Options{Now: time.Now()}
	var err error
	if text := c.String("ip"); text != "" {
		if options.Envelope.IP, err = netip.ParseAddr(strings.Trim(text, "[]")); err != nil {
			return options, finding.WithHint(usageError("--ip: invalid IP address %q", text),
				"give it as 192.0.2.1 or 2001:db8::1")
		}
	}
	options.Envelope.Helo = c.String("helo")
	if c.IsSet("mail-from") {
		if options.Envelope.MailFrom, err = mailFrom(c.String("mail-from")); err != nil {
			return options, err
		}
	}
	if text := c.String("time"); text != "" {
		if options.Now, err = parseMoment(text); err != nil {
			return options, err
		}
	}
	if c.String("name") != "" && c.String("record") == "" {
		return options, usageError("--name is the name of the record in --record, which is not given")
	}
	if c.String("keys") != "" || c.String("record") != "" {
		if c.IsSet("resolver") && c.String("resolver") != "" &&
			!fromEnvironment("SIGNPOST_RESOLVER", c.String("resolver")) {
			return options, usageError("--resolver cannot go with --keys or --record: with these no DNS is asked")
		}
		options.Offline = true
		options.Source, err = recordsAtHand(c)
		return options, err
	}
	resolver, err := dns.System()
	if server := c.String("resolver"); server != "" {
		if resolver, err = dns.At(server); err != nil {
			err = exitError{exitUsage, fmt.Errorf("--resolver: %w", err)}
		}
	}
	if err != nil {
		return options, err
	}
	options.Source = resolver.Remembering()
	return options, nil
}

// fromEnvironment reports whether a flag has its value from a variable.
func fromEnvironment(name, value string) bool { return os.Getenv(name) == value }

func mailFrom(text string) (string, error) {
	address := strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	if address == "" {
		return verify.NullSender, nil
	}
	if at := strings.LastIndexByte(address, '@'); at < 0 || at == len(address)-1 ||
		strings.ContainsAny(address, " \t\r\n<>") {
		return "", finding.WithHint(usageError("--mail-from: invalid mail address %q", text),
			"give it as user@example.org, or \"<>\" for a bounce")
	}
	return address, nil
}

// parseMoment reads a day, a time, or seconds since 1970 as in t= and x=.
func parseMoment(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	if seconds, err := strconv.ParseInt(strings.TrimPrefix(text, "@"), 10, 64); err == nil {
		return time.Unix(seconds, 0), nil
	}
	return time.Time{}, finding.WithHint(usageError("--time: invalid time %q", text),
		"give it as 2026-11-22 or 2026-11-22T20:00:00Z")
}
