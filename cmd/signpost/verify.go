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

	"signpost/keystore/published"
	"signpost/milter/receiver"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:  "verify",
		Usage: "say what a receiver would say of a message",
		UsageText: `signpost verify [options] [FILE...]
signpost verify --keys DIR|--record FILE [options] [FILE...]`,
		Description: verifyDescription,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "ip", Usage: "the client had this `ADDRESS`, in place of what Received tells"},
			&cli.StringFlag{Name: "helo", Usage: "the client called itself `NAME`"},
			&cli.StringFlag{Name: "mail-from", Usage: "the envelope sender was `ADDRESS`, in place of Return-Path; \"<>\" is a bounce"},
			&cli.StringFlag{Name: "keys", Usage: "take the public halves of the keys in `DIR` for what is published, and ask no DNS"},
			selectorFlag(),
			&cli.StringFlag{Name: "record", Usage: "take the records in `FILE` for what is published, and ask no DNS"},
			&cli.StringFlag{Name: "name", Usage: "`NAME` of the record in --record, when the file does not say it"},
			resolverFlag(),
			&cli.StringFlag{Name: "time", Usage: "verify as of `TIME`, such as 2026-11-22 or 2026-11-22T20:00:00Z"},
			&cli.StringFlag{Name: "authserv-id", Usage: "`NAME` of the receiver in Authentication-Results, by default this host's"},
			timeoutFlag(20 * time.Second),
			jsonFlag(),
		},
		Action: verify,
	}
}

const verifyDescription = `Reads a message as it was received, from each FILE or from standard input, and
says of every DKIM signature whether it verifies or where it breaks: the body
hash, the header, the key, the time. Then it checks SPF and DMARC with it, and
gives the Authentication-Results field that a receiver would add. Line ends may
be LF, as programs save them; a "From " line of an mbox is left out.

SPF needs the client and the envelope sender. They are taken from the top
Received field that tells of a client outside, and from Return-Path.

With --keys or --record no DNS is asked. The file may be what opendkim-genkey
writes, a zone file, the output of dig, or one bare record, with --name or else
taken for the key of each signature. What it does not have is "not looked up",
and then an aligned signature that verifies is enough.

It exits with 0 when DMARC passes, or where there is no policy, when what is
aligned with the author passes; with 1 when not, and with 3 when the DNS did
not tell.

Signatures are judged as the strict reading of RFC 6376, 8301 and 8463 has it:
rsa-sha1 and keys under 1024 bits do not pass. A signature with l= passes, with
a warning. What is said of how a message was changed has been tried out: the
signature or the hash matches when the change is undone.

examples:
   $ signpost verify message.eml
   note: lines end in LF, and are taken as CRLF, as they were on the way
   DKIM: pass: example.org, selector s1, ed25519-sha256 relaxed/relaxed; aligned with From
   SPF: pass: 192.0.2.25 for joe@example.org, by ip4:192.0.2.0/24; aligned with From
      the client is the one in the Received field at line 2
      MAIL FROM is the Return-Path at line 1
   DMARC: pass: p=reject at _dmarc.example.org
   Authentication-Results: mx.example.net;
   	dkim=pass header.a=ed25519-sha256 header.b=6MslviI6 header.d=example.org header.s=s1;
   	spf=pass smtp.helo=mail.example.org smtp.mailfrom=joe@example.org;
   	dmarc=pass header.from=example.org
   This message passes DMARC for example.org, because the DKIM signature of
   example.org and SPF for example.org pass and are aligned.

   $ signpost verify --record s1.txt footer.eml
   note: lines end in LF, and are taken as CRLF, as they were on the way
   DKIM: fail: example.org, selector s1, ed25519-sha256 relaxed/relaxed, at line 5
      the body was changed after it was signed: its hash is not the one in bh=
      up to line 21 all is as it was signed: what follows, such as the footer of
      a mailing list, was added later
      the header and the key are good: only the body was changed
   ...

   $ signpost verify --keys /etc/opendkim/keys - <message.eml
   $ signpost verify --ip 192.0.2.25 --helo mail.example.org --mail-from joe@example.org message.eml

json:
   {
     "messages": [
       {
         "file": "message.eml",
         "verdict": "pass",            // or "fail", "unknown"
         "sentence": "This message passes DMARC for example.org, because ...",
         "notes": [],                  // about the file
         "signatures": [
           {
             "line": 5, "domain": "example.org", "selector": "s1",
             "identity": "@example.org",           // i=, when there is one
             "algorithm": "ed25519-sha256", "canonicalization": "relaxed/relaxed",
             "key_bits": 2048,                     // of an RSA key
             "signed": ["from", "subject"],        // h=
             "time": "2026-11-22T20:00:00Z", "expires": "...",
             "result": "pass",  // fail, policy, neutral, temperror, permerror
             "where": "body",   // syntax, algorithm, body, header, key, time, dns, number
             "reason": "...", "notes": [], "aligned": true
           }
         ],
         "spf": {
           "result": "pass",    // RFC 7208, section 2.6; empty when not checked
           "reason": "...", "ip": "192.0.2.25", "helo": "mail.example.org",
           "sender": "joe@example.org", "domain": "example.org",
           "record": "v=spf1 ...", "term": "ip4:192.0.2.0/24",
           "lookups": 0, "void_lookups": 0, "aligned": true
         },
         "dmarc": {
           "result": "pass",    // fail, none, temperror, permerror
           "reason": "...", "author_domain": "example.org",
           "organizational_domain": "example.org",
           "name": "_dmarc.example.org", "record": "v=DMARC1; p=reject",
           "tag": "p", "published_policy": "reject", "policy": "reject",
           "aligned_dkim": ["example.org"], "aligned_spf": "example.org",
           "disposition": "none"  // what the domain asks for: quarantine, reject
         },
         "authentication_results": "mx.example.net; dkim=pass ..."
       }
     ]
   }`

func verify(c *cli.Context) error {
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
		return usageError("--authserv-id: %q is no name of a server; hint: give it as mx.example.org", server)
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
			printLines(c.App.ErrWriter, "error", fmt.Sprintf("%s: %v", file.Name, err))
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

func judgeFile(c *cli.Context, file input, options receiver.Options) (*receiver.Judgement, error) {
	defer file.Close()
	message, err := receiver.Read(file)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	return message.Judge(ctx, options), nil
}

func verifyOptions(c *cli.Context) (receiver.Options, error) {
	options := receiver.Options{Now: time.Now()}
	var err error
	if text := c.String("ip"); text != "" {
		if options.Envelope.IP, err = netip.ParseAddr(strings.Trim(text, "[]")); err != nil {
			return options, usageError("--ip: %q is no address; hint: give it as 192.0.2.1 or 2001:db8::1", text)
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
		if c.IsSet("resolver") && c.String("resolver") != "" && !fromEnvironment("SIGNPOST_RESOLVER", c.String("resolver")) {
			return options, usageError("--resolver cannot go with --keys or --record: with these no DNS is asked")
		}
		options.Offline = true
		options.Source, err = recordsAtHand(c)
		return options, err
	}
	resolver, err := published.System()
	if server := c.String("resolver"); server != "" {
		if resolver, err = published.At(server); err != nil {
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
		return receiver.NullSender, nil
	}
	if at := strings.LastIndexByte(address, '@'); at < 0 || at == len(address)-1 || strings.ContainsAny(address, " \t\r\n<>") {
		return "", usageError("--mail-from: %q is no address; hint: give it as user@example.org, or \"<>\" for a bounce", text)
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
	return time.Time{}, usageError("--time: %q is no time; hint: give it as 2026-11-22 or 2026-11-22T20:00:00Z", text)
}
