package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"time"

	"signpost/keystore/finding"
)

const retryAfter = 300 * time.Millisecond

// submitAll sends count messages of each domain, in turn.
func submitAll(ctx context.Context, o options, recipient string) error {
	run := time.Now().UnixNano()
	for n := range o.count {
		for _, domain := range o.domains {
			id := fmt.Sprintf("<%d.%d@%s>", run, n, domain)
			if err := submit(ctx, o.submit, "postmaster@"+domain, recipient, id); err != nil {
				return err
			}
		}
		select {
		case <-time.After(o.pause):
		case <-ctx.Done():
			return nil // await says it better
		}
	}
	return nil
}

// submit sends one message. It tries again, as mail clients do, while Postfix
// is not up yet or answers "not now" because its milter is not.
func submit(ctx context.Context, server, sender, recipient, id string) error {
	for {
		err := submitOnce(ctx, server, sender, recipient, id)
		if err == nil {
			return nil
		}
		var reply *textproto.Error
		if errors.As(err, &reply) && reply.Code >= 500 {
			return fmt.Errorf("submitting from %s to %s at %s: %w", sender, recipient, server, err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return finding.WithHint(fmt.Errorf("submitting from %s to %s at %s: %w", sender, recipient, server, err),
				"see the logs of Postfix and signpostd")
		}
	}
}

func submitOnce(ctx context.Context, server, sender, recipient, id string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", server)
	if err != nil {
		return err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
	}
	client, err := smtp.NewClient(conn, "probe.invalid")
	if err != nil {
		return err
	}
	if err := client.Hello("probe.invalid"); err != nil {
		return err
	}
	if err := client.Mail(sender); err != nil {
		return err
	}
	if err := client.Rcpt(recipient); err != nil {
		return err
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(body, "From: %s\r\nTo: %s\r\nSubject: signed?\r\nDate: %s\r\nMessage-ID: %s\r\n\r\nOne message to see that mail leaves signed.\r\n",
		sender, recipient, time.Now().Format(time.RFC1123Z), id)
	if err := body.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the message is accepted already
	return nil
}
