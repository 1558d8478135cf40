package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomilter "github.com/d--j/go-milter"

	"signpost/keystore/finding"
	"signpost/milter"
)

// probe speaks the milter protocol to the server at address, as an MTA would,
// and offers it one message from each domain. The error says which of them the
// server does not sign, or why it cannot be spoken to. No mail is sent.
func probe(ctx context.Context, address milter.Address, domains []string) error {
	timeout := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	client := gomilter.NewClient(address.Network, address.Address,
		gomilter.WithDialer(&net.Dialer{Timeout: timeout}),
		gomilter.WithReadTimeout(timeout), gomilter.WithWriteTimeout(timeout),
		gomilter.WithActions(gomilter.OptAddHeader|gomilter.OptSetMacros))
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, milter.HealthQueueID)
	session, err := client.Session(macros)
	if err != nil {
		return finding.WithHint(fmt.Errorf("speaking milter to %s: %w", address, err),
			"is signpostd running, and does it listen there?")
	}
	defer session.Close()
	var failed []error
	for i, domain := range domains {
		if i > 0 {
			if err := session.Reset(macros); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", domain, err))
				break
			}
		}
		if err := probeDomain(session, domain); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", domain, err))
		}
	}
	return errors.Join(failed...)
}

func probeDomain(session *gomilter.ClientSession, domain string) error {
	from := "postmaster@" + domain
	// As Postfix does for sendmail(1): the loopback address and no port.
	if _, err := session.Conn("localhost", gomilter.FamilyInet, 0, "127.0.0.1"); err != nil {
		return err
	}
	if _, err := session.Helo("localhost"); err != nil {
		return err
	}
	if _, err := session.Mail(from, ""); err != nil {
		return err
	}
	if _, err := session.Rcpt(from, ""); err != nil {
		return err
	}
	if _, err := session.DataStart(); err != nil {
		return err
	}
	if _, err := session.HeaderField("From", " "+from, nil); err != nil {
		return err
	}
	if _, err := session.HeaderEnd(); err != nil {
		return err
	}
	if _, err := session.BodyChunk([]byte("health check\r\n")); err != nil {
		return err
	}
	changes, action, err := session.End()
	switch {
	case err != nil:
		return err
	case action.StopProcessing():
		return finding.WithHint(fmt.Errorf("mail would be refused: %s", action.SMTPReply),
			"the log of signpostd says why")
	}
	for _, change := range changes {
		if change.Type == gomilter.ActionInsertHeader && strings.EqualFold(change.HeaderName, "DKIM-Signature") {
			return nil
		}
	}
	return finding.WithHint(errors.New("mail would not be signed"), "put its key into the key directory")
}
