package milter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	gomilter "github.com/d--j/go-milter"
)

// probeQueueID marks the message of a Probe, which is not worth a line in the
// log: health checks come every few seconds. An MTA gives out no such id.
const probeQueueID = "signpost-health"

// Probe speaks the milter protocol to the server at address, as an MTA would,
// and offers it one message from each domain. The error says which of them the
// server does not sign, or why it cannot be spoken to. No mail is sent.
func Probe(ctx context.Context, address Address, domains []string) error {
	timeout := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	client := gomilter.NewClient(address.Network, address.Address,
		gomilter.WithDialer(&net.Dialer{Timeout: timeout}),
		gomilter.WithReadTimeout(timeout), gomilter.WithWriteTimeout(timeout),
		gomilter.WithActions(gomilter.OptAddHeader|gomilter.OptSetMacros))
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, probeQueueID)
	session, err := client.Session(macros)
	if err != nil {
		return fmt.Errorf("speaking milter to %s: %w; hint: is signpostd running, and does it listen there?", address, err)
	}
	defer session.Close()
	var failed []string
	for i, domain := range domains {
		if i > 0 {
			if err := session.Reset(macros); err != nil {
				failed = append(failed, fmt.Sprintf("%s: %v", domain, err))
				break
			}
		}
		if err := probeDomain(session, domain); err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", domain, err))
		}
	}
	if failed != nil {
		return errors.New(strings.Join(failed, "\n"))
	}
	return nil
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
		return fmt.Errorf("mail would be refused: %s; hint: the log of signpostd says why", action.SMTPReply)
	}
	for _, change := range changes {
		if change.Type == gomilter.ActionInsertHeader && strings.EqualFold(change.HeaderName, "DKIM-Signature") {
			return nil
		}
	}
	return errors.New("mail would not be signed; hint: put its key into the key directory")
}
