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

// dialMilter begins a session with the milter at address.
func dialMilter(ctx context.Context, address milter.Address) (*gomilter.ClientSession, *gomilter.MacroBag, error) {
	timeout := 10 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		timeout = time.Until(deadline)
	}
	client := gomilter.NewClient(address.Network, address.Address,
		gomilter.WithDialer(&net.Dialer{Timeout: timeout}),
		gomilter.WithReadTimeout(timeout), gomilter.WithWriteTimeout(timeout))
	macros := gomilter.NewMacroBag()
	macros.Set(gomilter.MacroQueueId, milter.HealthQueueID)
	session, err := client.Session(macros)
	if err != nil {
		return nil, nil, fmt.Errorf("speaking milter to %s: %w", address, err)
	}
	return session, macros, nil
}

// probe speaks the milter protocol to the server at address, as an MTA would,
// and offers it one message from each domain. It returns those that the server signs;
// the error says why it does not sign the others. No mail is sent.
func probe(ctx context.Context, address milter.Address, domains []string) (signed []string, err error) {
	session, macros, err := dialMilter(ctx, address)
	if err != nil {
		if op := new(net.OpError); errors.As(err, &op) && op.Op != "dial" && op.Timeout() {
			return nil, finding.WithHint(err, "it accepts connections and does not answer: restart signpostd")
		}
		return nil, finding.WithHint(err, "is signpostd running, and does it listen there?")
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
			continue
		}
		signed = append(signed, domain)
	}
	return signed, errors.Join(failed...)
}

func probeDomain(session *gomilter.ClientSession, domain string) error {
	from := "postmaster@" + domain
	changes, err := offer(session, from, []field{{"From", " " + from}}, "health check\r\n")
	if err != nil {
		return err
	}
	if len(signaturesIn(changes)) > 0 {
		return nil
	}
	return finding.WithHint(errors.New("mail would not be signed"), "put its key into the key directory")
}

// field is a header field, with the blank before its value.
type field struct{ name, value string }

// offer offers a message, as Postfix does for sendmail(1): with the loopback address and
// no port. It returns what the milter would change, which is nothing if it soon lets the
// message pass.
func offer(session *gomilter.ClientSession, from string, fields []field, body string) ([]gomilter.ModifyAction, error) {
	steps := []func() (*gomilter.Action, error){
		func() (*gomilter.Action, error) {
			return session.Conn("localhost", gomilter.FamilyInet, 0, "127.0.0.1")
		},
		func() (*gomilter.Action, error) { return session.Helo("localhost") },
		func() (*gomilter.Action, error) { return session.Mail(from, "") },
		func() (*gomilter.Action, error) { return session.Rcpt(from, "") },
		session.DataStart,
	}
	for _, f := range fields {
		if !session.ProtocolOption(gomilter.OptHeaderLeadingSpace) {
			f.value = strings.TrimPrefix(f.value, " ")
		}
		steps = append(steps, func() (*gomilter.Action, error) { return session.HeaderField(f.name, f.value, nil) })
	}
	steps = append(steps, session.HeaderEnd, func() (*gomilter.Action, error) { return session.BodyChunk([]byte(body)) })
	for _, step := range steps {
		action, err := step()
		switch {
		case err != nil:
			return nil, err
		case action.Type == gomilter.ActionAccept || action.Type == gomilter.ActionDiscard:
			return nil, nil // it wants to know no more, as OpenDKIM of mail that it does not sign
		case action.StopProcessing():
			return nil, refused(action)
		}
	}
	changes, action, err := session.End()
	switch {
	case err != nil:
		return nil, err
	case action.StopProcessing():
		return nil, refused(action)
	}
	return changes, nil
}

func refused(action *gomilter.Action) error {
	return finding.WithHint(fmt.Errorf("mail would be refused: %s", action.SMTPReply),
		"the log of the milter says why")
}

// signaturesIn returns the values of the signatures that a milter adds.
func signaturesIn(changes []gomilter.ModifyAction) (values []string) {
	for _, change := range changes {
		added := change.Type == gomilter.ActionInsertHeader || change.Type == gomilter.ActionAddHeader
		if added && strings.EqualFold(change.HeaderName, "DKIM-Signature") {
			values = append(values, change.HeaderValue)
		}
	}
	return values
}
